"""Django's PostgreSQL backend, with a check of kept connections that costs no way to the server and back."""

from __future__ import annotations

from typing import Final

NO_JIT: Final = "-c jit=off"
"""What connections ask for: compiling a plan takes half a second, several times a run, and saves less."""
