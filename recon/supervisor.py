"""Keeps a few child processes alive together: a dead one is started again, a signal stops all of them cleanly."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import FrameType

STOP_SECONDS = 10.0
"""How long a child may take to finish what it is doing after SIGTERM; then it is killed."""

LONGEST_PAUSE = 30.0
STEADY_SECONDS = 60.0
"""A child that ran this long before it died is started again at once, without a growing pause."""


@dataclass
class Child:
    name: str
    command: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    pause: float = 0.0
    due: float = field(default=0.0)  # when to start it (again), on the monotonic clock

    def start(self) -> None:
        # A session of its own: Ctrl-C reaches this supervisor only, which then stops the children in order.
        self.process = subprocess.Popen(self.command, start_new_session=True)
        self.started = time.monotonic()

    def reap(self, say: Callable[[str], None]) -> None:
        """If the child has died, say so and plan its next start; pauses double so that a broken one does not spin."""
        if self.process is None or self.process.poll() is None:
            return
        end_what_is_left(self.process)
        steady = time.monotonic() - self.started > STEADY_SECONDS
        self.pause = 0.5 if steady or not self.pause else min(self.pause * 2, LONGEST_PAUSE)
        say(f"{self.name} ended with {describe_exit(self.process.returncode)}; starting it again in {self.pause:g} s")
        self.process = None
        self.due = time.monotonic() + self.pause


def end_what_is_left(process: subprocess.Popen[bytes]) -> None:
    """Kill the processes that a dead child has left behind: a web server's would go on answering for ever, with the
    code of that day, beside those of the one that is started in its place."""
    with suppress(ProcessLookupError, PermissionError):  # there are none (macOS says it in the second way)
        os.killpg(process.pid, signal.SIGKILL)


def describe_exit(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def supervise(
    commands: Mapping[str, Sequence[str]], *, say: Callable[[str], None], apart: float = 1.0, tick: float = 0.2
) -> None:
    """Run `commands` (name -> argument list) until SIGINT or SIGTERM; then stop them and return.

    They start `apart` seconds after each other, so that the first one has the processors to itself while it loads.
    """
    now = time.monotonic()
    children = [
        Child(name, command, due=now + place * apart) for place, (name, command) in enumerate(commands.items())
    ]
    stopping = False

    def stop(signum: int, frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = True

    previous = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        while not stopping:
            for child in children:
                child.reap(say)
                if child.process is None and time.monotonic() >= child.due:
                    child.start()
            time.sleep(tick)
    finally:
        stop_all(children)
        for number, handler in previous.items():
            signal.signal(number, handler)


def stop_all(children: Sequence[Child]) -> None:
    """Ask all children to end, wait for them together, kill what does not listen."""
    running = [child.process for child in children if child.process is not None and child.process.poll() is None]
    for process in running:
        process.terminate()
    deadline = time.monotonic() + STOP_SECONDS
    for process in running:
        try:
            process.wait(timeout=max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        end_what_is_left(process)
