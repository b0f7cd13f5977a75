"""How much memory this process took."""

from __future__ import annotations

import re
import resource
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

_STATUS: Final = Path("/proc/self/status")
_CLEAR: Final = Path("/proc/self/clear_refs")
_HIGH_WATER: Final = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)


def peak_memory() -> int:
    """The most memory this process ever held, in bytes, with its libraries.

    On Linux the kernel's high-water mark of the process, as in proc(5): getrusage(2) starts from what the process that
    started this one had held by then. Elsewhere it is what there is, in bytes on macOS and kilobytes on others.
    """
    if _STATUS.exists() and (found := _HIGH_WATER.search(_STATUS.read_text())):
        return int(found[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def forget_peak() -> None:
    """Start the high-water mark anew at what the process holds now, as in proc(5). Elsewhere it stays."""
    with suppress(OSError):
        _CLEAR.write_text("5")
