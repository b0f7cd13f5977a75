"""What the engine spills to disk goes when its process does, however that ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from recon.engine.options import Options
from recon.engine.session import opened
from recon.usecases.runs.spilling import remove_spilled
from tests.sites import ROOT

SPILLING = """
import django; django.setup()
from recon.usecases.runs.spilling import spill_folder
(spill_folder() / "spilled").write_text("rows")
print(spill_folder(), flush=True)
input()
"""


@pytest.fixture
def place(tmp_path, settings):
    settings.SPILL_DIR = tmp_path / "spill"
    return settings.SPILL_DIR


def spilling(place: Path) -> tuple[subprocess.Popen[str], Path]:
    env = os.environ | {"TIEOUT_SPILL_DIR": str(place), "DJANGO_SETTINGS_MODULE": "recon.settings"}
    pipe = subprocess.PIPE
    process = subprocess.Popen([sys.executable, "-c", SPILLING], cwd=ROOT, env=env, stdin=pipe, stdout=pipe, text=True)
    assert process.stdout
    return process, Path(process.stdout.readline().strip())


def test_what_a_killed_process_has_spilled_is_removed_and_that_of_one_at_work_stays(place):
    killed, left = spilling(place)
    at_work, used = spilling(place)
    with killed, at_work:
        killed.kill()
        killed.wait()
        assert (left / "spilled").exists()
        remove_spilled()
        assert not left.exists()
        assert (used / "spilled").read_text() == "rows"
        at_work.communicate("\n")
    remove_spilled()
    assert not list(place.iterdir())


def test_each_engine_spills_to_a_folder_of_its_own_and_leaves_other_files_alone(tmp_path):
    other = tmp_path / "duckdb_temp_storage_DEFAULT-0.tmp"  # as another engine names them
    other.write_text("rows")
    options = Options(memory_limit="40MB", temp_dir=str(tmp_path), threads=1)
    with opened(options, 10**6) as session, opened(options, 10**6) as beside:
        folders = [each.rows("SELECT current_setting('temp_directory')")[0][0] for each in (session, beside)]
        assert len({tmp_path, *map(Path, folders)}) == 3
        session.run("CREATE TABLE many AS SELECT range AS a, hash(range) AS b FROM range(4000000)")
        assert list(Path(folders[0]).iterdir())
    assert list(tmp_path.iterdir()) == [other]
