"""The peak of memory that a program tells is its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from recon.memory import forget_peak, peak_memory

_TOLD = "from recon.memory import peak_memory; print(peak_memory())"


def test_what_a_process_held_counts_after_it_gave_it_back() -> None:
    held = bytearray(b"x") * (64 << 20)
    size = len(held)
    del held
    assert peak_memory() > size


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux starts the mark anew")
def test_the_peak_can_be_taken_anew() -> None:
    held = bytearray(b"x") * (64 << 20)
    size = len(held)
    before = peak_memory()
    del held
    forget_peak()
    assert peak_memory() < before - size // 2


def test_what_the_process_held_that_started_it_does_not_count() -> None:
    held = bytearray(b"x") * (256 << 20)
    told = subprocess.run([sys.executable, "-c", _TOLD], capture_output=True, text=True, check=True)
    assert 2**20 < int(told.stdout) < len(held)
