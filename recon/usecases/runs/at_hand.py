"""What a run would read, where that is in memory already because it was stored just now; matched ahead, perhaps.

SQLite stores on one core, whatever there is to store, and PostgreSQL waits for the disk now and then. So the rows are
matched meanwhile: the run begins when they are stored, and finds its outcome there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import Event
from typing import Final

import pyarrow as pa

from recon.engine import Outcome, match
from recon.models import MatchingRun
from recon.usecases.runs.engine_options import unwatched_options
from recon.usecases.runs.input import RunInput
from recon.usecases.runs.results import placed_rows
from rules.criteria import Rule

_ASK_EVERY: Final = 0.25  # seconds


@dataclass(frozen=True)
class AtHand:
    """Rows as `read_input` would read them, and what comes of them if they are being matched already."""

    rows: RunInput
    matched: Future[Outcome] | None = None
    _placed: Future[pa.Table] | None = None

    def outcome(self, ask: Callable[[], None]) -> Outcome | None:
        """What came of it, if anything. While one waits `ask` is called, which may raise. Raises EngineError."""
        if self.matched is None:
            return None
        while not self.matched.done():
            ask()
            wait([self.matched], _ASK_EVERY)
        return self.matched.result()

    def placed(self) -> pa.Table | None:
        """Of what came of it the `placed_rows`, a moment later."""
        return self._placed.result() if self._placed else None


Ahead = Callable[[Callable[[], RunInput]], Callable[[], AtHand]]
"""Begins to match what a function reads, in a thread and without the database; what it returns waits for the rows."""


@contextmanager
def matching_ahead(like: MatchingRun, rules: Sequence[Rule]) -> Iterator[Ahead]:
    """Gives what reads and matches rows in a thread, as a run would that is `like` this record. What is not matched
    when the block is over is given up."""
    over = Event()
    options = replace(unwatched_options(like), cancelled=over.is_set)
    with ThreadPoolExecutor(1, thread_name_prefix="matching-ahead") as pool:

        def begin(read: Callable[[], RunInput]) -> Callable[[], AtHand]:
            rows = pool.submit(read)
            matched = pool.submit(lambda: match(rules, rows.result().statement, rows.result().ledger, options))
            placed = pool.submit(lambda: placed_rows(matched.result()))
            return lambda: AtHand(rows.result(), matched, placed)

        try:
            yield begin
        finally:
            over.set()
