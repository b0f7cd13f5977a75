"""Where the engine's memory overflows to: a folder for each process, which whoever finds its process gone removes."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from django.conf import settings

_ours: dict[int, tuple[Path, int]] = {}  # process id -> folder and its locked file; a forked child needs its own
_guard = threading.Lock()


def spill_folder() -> Path:
    """This process's folder, in which each engine makes one of its own and removes that at its end.

    A file beside it is locked as long as the process lives, and lies there before the folder does.
    """
    with _guard:
        if os.getpid() not in _ours:
            _ours[os.getpid()] = _locked()
        folder = _ours[os.getpid()][0]
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _locked() -> tuple[Path, int]:
    """A name for a folder, and the file beside it."""
    place: Path = settings.SPILL_DIR
    place.mkdir(parents=True, exist_ok=True)
    remove_spilled()
    handle, unnamed = tempfile.mkstemp(prefix="new-", dir=place)
    fcntl.flock(handle, fcntl.LOCK_EX)
    folder = place / uuid4().hex
    Path(unnamed).rename(folder.with_suffix(".lock"))  # nobody sees it under this name before it is locked
    return folder, handle


def remove_spilled() -> int:
    """Remove the folders of processes that are gone, with what killed ones had spilled. Always 0: no more is to do."""
    for lock in settings.SPILL_DIR.glob("*.lock"):
        with suppress(OSError), lock.open("r+") as file:  # it is in use, another user's, or somebody else removes it
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            folder = lock.with_suffix("")
            shutil.rmtree(folder, ignore_errors=True)
            if not folder.exists():
                lock.unlink()
    return 0
