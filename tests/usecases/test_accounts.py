"""Which rows an account may match."""

from __future__ import annotations

from datetime import UTC, date, datetime
from itertools import count

import pytest

from recon.models import (
    Account,
    Claim,
    Event,
    LedgerEntry,
    LedgerImport,
    LoadState,
    RowPart,
    Side,
    Statement,
    StatementLine,
    Via,
)
from recon.usecases.accounts.scope import (
    builtin_account,
    create_account,
    entries_in_scope,
    lines_in_scope,
    open_rows,
)
from recon.usecases.accounts.settings import change_account
from recon.usecases.errors import Refused
from recon.usecases.events import Actor, record

NOW = datetime(2026, 3, 1, tzinfo=UTC)
ids = count(1)


@pytest.fixture
def by(alice) -> Actor:
    return Actor(alice, Via.SCREEN)


def make_account(by: Actor, scope, **settings) -> Account:
    return create_account(by, name=f"Account {next(ids)}", scope=scope, **settings)


def entry(**values) -> LedgerEntry:
    fields = {"id": next(ids), "units": 1000, "currency": "EUR", "created_at": NOW, "booking_date": date(2026, 2, 1)}
    made = LedgerEntry(**{**fields, **values})
    made.save(force_insert=True)
    return made


def line(account: Account, statement: int = 1, **values) -> StatementLine:
    number = next(ids)
    fields = {"id": number, "units": 1000, "currency": "EUR", "statement_number": statement, "position": number}
    made = StatementLine(account_id=account.pk, **{**fields, **values})
    made.save(force_insert=True)
    return made


def found(account: Account) -> set[int]:
    return set(entries_in_scope(account).values_list("pk", flat=True))


def test_an_owned_entry_is_a_candidate_of_its_owner_only(by):
    mine, other = make_account(by, {"owned": True}), make_account(by, {"owned": True})
    own, unowned = entry(account_id=mine.pk), entry()
    assert found(mine) == {own.pk}
    assert found(other) == set()
    assert found(builtin_account()) == {unowned.pk}


def test_an_account_without_a_scope_has_no_candidates(by):
    entry()
    assert found(make_account(by, None)) == set()


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ({}, {"till", "bank", "shop"}),  # empty: whatever nobody owns
        ({"sources": ["till"]}, {"till"}),
        ({"balances": ["safe"]}, {"till", "bank"}),  # either end of the transaction
        ({"balances": ["safe"], "sources": ["till"]}, {"till"}),
        ({"owned": True, "sources": ["shop"]}, {"shop", "own"}),
        ({"statuses": ["APPLIED"]}, {"shop"}),
    ],
)
def test_a_scope_chooses_entries(by, scope, expected):
    account = make_account(by, scope)
    made = {
        "till": entry(source="till", destination="safe"),
        "bank": entry(source="safe", destination="bank"),
        "shop": entry(source="shop", destination="bank", status="APPLIED"),
        "own": entry(account_id=account.pk, source="till"),
    }
    assert {name for name, row in made.items() if row.pk in found(account)} == expected


@pytest.mark.parametrize("status", ["QUEUED", "INFLIGHT", "REJECTED", "VOID"])
def test_only_final_entries_take_part(db, status):
    entry(status=status)
    assert found(builtin_account()) == set()


def test_entries_before_the_cut_over_stay_out_and_undated_ones_stay_in(by):
    account = make_account(by, {}, cut_over=date(2026, 2, 1))
    entry(booking_date=date(2026, 1, 31))
    kept = {entry(booking_date=date(2026, 2, 1)).pk, entry(booking_date=None).pk}
    assert found(account) == kept


def test_entries_of_an_unfinished_import_are_invisible(db):
    for number, state in enumerate(LoadState, start=1):
        LedgerImport.objects.create(number=number, name="ledger.csv", sha256="0", format="csv", state=state)
        entry(import_number=number)
    from_api = entry()
    ready = LedgerEntry.objects.get(import_number=LedgerImport.objects.get(state=LoadState.READY).number)
    assert found(builtin_account()) == {ready.pk, from_api.pk}


def test_lines_of_unready_statements_and_superseded_lines_never_take_part(by):
    account = make_account(by, {})
    for number, state in enumerate(LoadState, start=1):
        Statement.objects.create(number=number, account=account, name="s.csv", sha256="0", format="csv", state=state)
    lines = {state: line(account, number) for number, state in enumerate(LoadState, start=1)}
    ready = lines[LoadState.READY]
    line(account, ready.statement_number, superseded=True)
    assert list(lines_in_scope(account)) == [ready]


def test_money_that_leaves_the_accounts_balance_is_negative(by):
    account = make_account(by, {"balances": ["bank"]})
    into, out = entry(source="till", destination="bank"), entry(source="bank", destination="rent")
    within = entry(source="bank", destination="bank")
    rows = open_rows(account, Side.LEDGER, entries_in_scope(account)).to_pylist()
    assert {row["id"]: row["units"] for row in rows} == {into.pk: 1000, out.pk: -1000, within.pk: 1000}


def test_claimed_rows_are_not_open_in_that_account_alone(by):
    account, other = make_account(by, {}), make_account(by, {})
    free, taken = entry(), entry()
    Claim.objects.create(account_id=account.pk, side=Side.LEDGER, row_id=taken.pk, match_id=1)
    Claim.objects.create(account_id=account.pk, side=Side.STATEMENT, row_id=free.pk, match_id=1)
    for each, expected in ((account, [free.pk]), (other, [free.pk, taken.pk])):
        rows = open_rows(each, Side.LEDGER, entries_in_scope(each))
        assert sorted(rows["id"].to_pylist()) == expected


def test_a_split_row_comes_as_its_open_parts(by):
    account = make_account(by, {})
    whole, split = line(account, reference="A"), line(account, reference="B")
    for part, units in ((1, 300), (2, 500), (3, 200)):
        RowPart.objects.create(account_id=account.pk, side=Side.STATEMENT, row_id=split.pk, part=part, units=units)
    Claim.objects.create(account_id=account.pk, side=Side.STATEMENT, row_id=split.pk, part=2, match_id=1)
    lines = StatementLine.objects.filter(account_id=account.pk)
    rows = open_rows(account, Side.STATEMENT, lines, columns=["reference", "booking_date"]).to_pylist()
    open_now = {(row["id"], row["part"], row["units"], row["reference"]) for row in rows}
    assert open_now == {(whole.pk, 0, 1000, "A"), (split.pk, 1, 300, "B"), (split.pk, 3, 200, "B")}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": " "}, "needs a name"),
        ({"name": "Bank", "time_zone": "Europe/Nowhere"}, "not a time zone"),
        ({"name": "Bank", "scope": {"balance": ["x"]}}, "does not know balance"),
        ({"name": "Bank", "scope": {"owned": "yes"}}, "true or false"),
        ({"name": "Bank", "scope": {"sources": "till"}}, "list of texts"),
        ({"name": "Bank", "scope": {"statuses": ["VOID"]}}, "not a final status"),
        ({"name": "API"}, "already an account"),
        ({"name": "Bank", "strategy": "one_to_many", "grouping": "refrence"}, "cannot group by refrence"),
    ],
)
def test_an_account_that_makes_no_sense_is_refused(by, settings, message):
    builtin_account()
    with pytest.raises(Refused, match=message):
        create_account(by, **settings)
    assert Account.objects.for_people().count() == 0


def test_an_account_keeps_no_grouping_that_its_strategy_does_not_know(by):
    account = change_account(by, make_account(by, {}), {"strategy": "many_to_one", "grouping": "amount"})
    with pytest.raises(Refused, match="cannot group by amount"):
        change_account(by, account, {"strategy": "one_to_many"})


def test_creating_an_account_is_on_the_record(by, alice):
    account = make_account(by, {"owned": True})
    event = Event.objects.get(kind="account")
    assert (event.actor, event.via, event.verb, event.account_id) == (alice, "screen", "account created", account.pk)


@pytest.mark.django_db(transaction=True)
def test_an_event_outside_a_transaction_is_refused():
    with pytest.raises(RuntimeError, match="in the transaction"):
        record(Actor.command(), "run started", "run", "recon_1")
    assert Event.objects.count() == 0
