"""Claims: the database lets a row part be in at most one confirmed match of an account.

Few go into the large table, whose key says so; those of a large run have a table of their own on PostgreSQL, and what
keeps tables from having the same is in migration 0016.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Final

import pyarrow as pa
from django.db import DatabaseError, IntegrityError, OperationalError, connection, transaction
from django.utils import timezone

from recon.models import Claim, Match, MatchingRun
from recon.usecases.bulk.apart import join_apart
from recon.usecases.bulk.apart_tables import LOCK_NOT_AVAILABLE
from recon.usecases.bulk.moved import empty_apart
from recon.usecases.bulk.rows import Progress, load_rows, refresh_statistics
from recon.usecases.errors import Refused
from recon.usecases.review.items_apart import in_sql

CLAIM_MATCH = """
    INSERT INTO recon_claim (account_id, side, row_id, part, match_id)
    SELECT m.account_id, r.side, r.row_id, r.part, r.match_id
    FROM recon_match m JOIN recon_matchrow r ON r.match_id = m.id
    WHERE m.id = %s
    ORDER BY r.side, r.row_id, r.part
"""

SUGGESTIONS_IN_THE_WAY = """
    SELECT id FROM recon_match
    WHERE account_id = %s AND state = 'suggested'
      AND run_number IN (
          SELECT number FROM recon_matchingrun WHERE account_id = %s AND state = 'completed' AND NOT is_dry_run
      )
      AND EXISTS (
          SELECT 1 FROM recon_matchrow r
          JOIN recon_claim c
            ON c.account_id = %s AND c.side = r.side AND c.row_id = r.row_id AND c.part = r.part
          WHERE r.match_id = recon_match.id
      )
    ORDER BY id
"""

WITHDRAW_RIVALS = """
    UPDATE recon_match SET state = 'withdrawn', state_changed_at = %s
    WHERE account_id = %s AND state = 'suggested' AND id IN (
        SELECT other.match_id FROM recon_matchrow mine JOIN recon_matchrow other
          ON other.row_id = mine.row_id AND other.side = mine.side AND other.part = mine.part
        WHERE mine.match_id = %s
    ) AND run_number IN (
        SELECT number FROM recon_matchingrun WHERE account_id = %s AND state = 'completed' AND NOT is_dry_run
    )
"""

RELEASE = """
    DELETE FROM recon_claim WHERE account_id = %s AND match_id >= %s AND match_id <= %s AND (side, row_id, part) IN (
        SELECT r.side, r.row_id, r.part FROM recon_match m JOIN recon_matchrow r ON r.match_id = m.id
        WHERE m.id >= %s AND m.id <= %s AND m.account_id = %s AND m.state = 'undone' AND m.state_changed_at = %s
    )
"""

DEADLOCK_OR_SERIALIZATION = {"40P01", "40001"}

_LOCK: Final = "1416193391, hashint8(%s)"
"""What the database locks for whoever claims rows of an account (migration 0016)."""

PATIENCE: Final = "20s"
"""For how long a person waits while a run claims rows of an account."""


class ClaimedError(Exception):
    """Somebody else claimed one of the rows first."""


def claim_rows(claims: pa.Table, progress: Progress) -> None:
    """Claim the rows of a run's confirmed matches, sorted by their key; all or none.

    Sorted, the key's index grows at its end, and two runs that meet wait for each other instead of deadlocking. Raises
    `ClaimedError` if a row part is taken. To be called in the transaction that completes the run.
    """
    join_claims(load_claims(claims, progress))


def load_claims(claims: pa.Table, progress: Progress) -> Sequence[str]:
    """The first half of `claim_rows`: many claims wait in a table of their own, whose name this returns, and claim
    nothing yet."""
    waiting: list[str] = []
    with _conflicts(), transaction.atomic():
        load_rows(Claim, claims, progress=progress, join=lambda _, name: waiting.append(name))
    return waiting


def join_claims(waiting: Sequence[str], still_wanted: Callable[[], None] = lambda: None) -> None:
    """The second half: from now on nobody else claims rows of the account before the transaction is over, so this
    comes late. While others do, `still_wanted` hears of it once a second and may raise. Raises `ClaimedError`."""
    for name in waiting:
        while not _joined(name):
            still_wanted()


@contextmanager
def claiming_alone(account_id: int, still_wanted: Callable[[], None]) -> Iterator[None]:
    """Nobody else claims rows of the account within this, in however many transactions: who wants to waits until it is
    over, or this process is gone. For who has lost to others time and again. `still_wanted` as for `join_claims`.

    Not behind a pooler, where a connection is another one in the next transaction, nor within a transaction, nor on
    SQLite.
    """
    if connection.in_atomic_block or not getattr(connection, "prepares", False):
        yield
        return
    while not _held_alone(account_id):
        still_wanted()
    try:
        yield
    finally:
        try:
            with connection.cursor() as cursor:
                cursor.execute(f"SELECT pg_advisory_unlock({_LOCK})", [account_id])
        except DatabaseError:
            connection.close()  # which lets go of it too


def _held_alone(account_id: int) -> bool:
    """Not yet, if somebody else claims rows of the account for more than a second."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '1s'")
            cursor.execute(f"SELECT pg_advisory_lock({_LOCK})", [account_id])  # outlasts the transaction
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", None) != LOCK_NOT_AVAILABLE:
            raise
        return False
    return True


def _joined(name: str) -> bool:
    """Whether a table of claims is part of the large one: not yet, if somebody else claims rows of the account for
    more than a second."""
    try:
        with _conflicts(), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '1s'")
            join_apart(Claim, name)
            cursor.execute("SET LOCAL lock_timeout = DEFAULT")
        refresh_statistics(Claim)
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", None) != LOCK_NOT_AVAILABLE:
            raise
        return False
    return True


def wait_to_claim(account_id: int) -> None:
    """From here to the end of the transaction no large run claims rows of the account; waits for one that does.

    For a person, before anything else is held: a run that keeps others from claiming (`claiming_alone`) may want the
    account, or suggestions, that a person has taken who waits for the run. Raises `Refused` after a while.
    """
    if connection.vendor != "postgresql":
        return
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = '{PATIENCE}'")
            cursor.execute("SELECT tieout_lock_claims(%s, false)", [account_id])
            cursor.execute("SET LOCAL lock_timeout = DEFAULT")
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", None) != LOCK_NOT_AVAILABLE:
            raise
        raise Refused("A run is matching rows of this account just now; try again when it is over.") from error


def claim_match(match: Match) -> None:
    """Claim the rows of one match that was just confirmed, and withdraw the suggestions that counted on them.

    Raises `ClaimedError`.
    """
    with _conflicts(), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(CLAIM_MATCH, [match.pk])
        cursor.execute(WITHDRAW_RIVALS, [in_sql(timezone.now()), match.account_id, match.pk, match.account_id])


def withdraw_suggestions(account_id: int) -> int:
    """Withdraw every suggestion that counts on a row which is claimed by now; returns how many."""
    return _withdraw(SUGGESTIONS_IN_THE_WAY, [account_id] * 3)


def withdraw_all_suggestions(run: MatchingRun) -> int:
    """Withdraw every suggestion of a run; returns how many."""
    return _withdraw(
        "SELECT id FROM recon_match WHERE run_number = %s AND state = 'suggested' ORDER BY id", [run.number]
    )


def _withdraw(found: str, params: Sequence[int]) -> int:
    """They are taken one after the other in the order of their ids, and before anything is done about open items, so
    that two who withdraw the same ones wait for each other instead of deadlocking."""
    taken = f"{found} FOR UPDATE" if connection.vendor == "postgresql" else found
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE recon_match SET state = 'withdrawn', state_changed_at = %s WHERE id IN ({taken})"  # noqa: S608
            " AND state = 'suggested'",
            [in_sql(timezone.now()), *params],
        )
        return int(cursor.rowcount)


def release_undone(account_id: int, match_ids: tuple[int, int], undone_at: datetime) -> None:
    """Release the rows of the matches from the first to the last of `match_ids` that were undone at `undone_at`."""
    params = [account_id, *match_ids, *match_ids, account_id, in_sql(undone_at)]
    with connection.cursor() as cursor:
        cursor.execute(RELEASE, params)


def release_all(account_id: int, match_ids: tuple[int, int]) -> None:
    """Release all that matches of the account from the first to the last of `match_ids` hold. To be called at the end
    of the transaction: where these have a table of their own, whoever looks at claims waits until it is over."""
    empty_apart(Claim, *match_ids)
    Claim.objects.filter(account_id=account_id, match_id__range=match_ids).delete()


@contextmanager
def _conflicts() -> Iterator[None]:
    try:
        with giving_way():
            yield
    except IntegrityError as error:
        raise ClaimedError from error


@contextmanager
def giving_way() -> Iterator[None]:
    """Of two who would wait for each other for ever the database picks one: it came second. Raises `ClaimedError`."""
    try:
        yield
    except OperationalError as error:
        if gives_way(error):
            raise ClaimedError from error
        raise


def gives_way(error: OperationalError) -> bool:
    """Whether the database picked this transaction of those who would have waited for each other for ever."""
    return getattr(error.__cause__, "sqlstate", None) in DEADLOCK_OR_SERIALIZATION
