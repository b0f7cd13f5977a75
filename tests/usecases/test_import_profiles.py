"""Import profiles: kept by name, used by accounts, taken elsewhere as JSON."""

from __future__ import annotations

import json

import pytest

from recon.models import Event, ImportProfile, Side
from recon.usecases.accounts.scope import create_account
from recon.usecases.errors import Refused
from recon.usecases.imports.importing import import_statement, preview
from recon.usecases.imports.profiles import (
    delete_profile,
    exported,
    import_profile,
    import_profiles,
    rename_profile,
    save_profile,
    use_profile,
)

MAPPING = {"columns": {"booking_date": "Datum", "amount": "Wert B"}, "currency": "EUR", "sign": "as_given"}
FILE = b"Datum;Wert A;Wert B\n05.01.2026;1,00;2,00\n"


@pytest.fixture
def account(by, settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    return create_account(by, name="Bank", scope={"owned": True})


def test_a_profile_that_is_used_is_named_by_the_preview(by, account):
    assert preview(FILE, "a.csv", account, Side.STATEMENT).profile is None
    use_profile(by, account, Side.STATEMENT, save_profile(by, "German export", MAPPING))
    found = preview(FILE, "a.csv", account, Side.STATEMENT)
    assert found.profile
    assert (found.profile.name, found.reading.lines["units"].to_pylist()) == ("German export", [200])
    assert preview(b"id,amount,date,currency,reference\n1,-1.00,2026-01-01,EUR,A\n", "b.csv", account, Side.STATEMENT).profile is None  # fmt: skip  # noqa: E501


def test_a_profile_still_fits_when_the_header_stands_elsewhere(by, account):
    use_profile(by, account, Side.STATEMENT, save_profile(by, "German export", {**MAPPING, "header_row": 1}))
    later = b"Kontoauszug\nvom 1.2.2026\n\n" + FILE
    assert preview(later, "a.csv", account, Side.STATEMENT).reading.lines["units"].to_pylist() == [200]


def test_a_changed_mapping_becomes_the_accounts_own_profile_and_leaves_a_shared_one_alone(by, account):
    shared = save_profile(by, "German export", MAPPING)
    use_profile(by, account, Side.STATEMENT, shared)
    other = {**MAPPING, "columns": {"booking_date": "Datum", "amount": "Wert A"}}
    import_statement(by, account, FILE, "a.csv", mapping=other)
    account.refresh_from_db()
    shared.refresh_from_db()
    assert (account.statement_profile.name, shared.mapping) == ("Bank: statement files", MAPPING)


def test_a_profile_travels_as_json(by):
    profile = save_profile(by, "German export", MAPPING)
    text = exported(profile)
    delete_profile(by, profile)
    assert not ImportProfile.objects.exists()
    assert import_profile(by, text).mapping == MAPPING
    assert import_profile(by, text).name == "German export"  # the same again is nothing new
    changed = json.dumps({"name": "German export", "mapping": {**MAPPING, "currency": "CHF"}})
    with pytest.raises(Refused, match="already an import profile named 'German export'"):
        import_profile(by, changed)
    assert import_profile(by, changed, replace=True).mapping["currency"] == "CHF"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "not JSON"),
        ("[]", "no import profile"),
        ('{"name": "X", "mapping": {"columns": {"betrag": "A"}}}', "unknown column role 'betrag'"),
        ('{"name": "X", "mapping": {"colour": "red"}}', "unknown key 'colour'"),
        ('{"name": "", "mapping": {}}', "needs a name"),
    ],
)
def test_what_is_no_profile_is_refused(by, text, why):
    with pytest.raises(Refused, match=why):
        import_profile(by, text)
    assert not ImportProfile.objects.exists()


def test_a_profile_is_renamed_and_its_uses_are_counted(by, account):
    profile = rename_profile(by, save_profile(by, "Old", MAPPING), "New")
    use_profile(by, account, Side.LEDGER, profile)
    save_profile(by, "Other", MAPPING)
    with pytest.raises(Refused, match="already"):
        rename_profile(by, profile, "Other")
    uses = [(each.profile.name, each.statements_of, each.ledgers_of) for each in import_profiles()]
    assert uses == [("New", (), ("Bank",)), ("Other", (), ())]
    assert Event.objects.filter(verb="profile renamed").count() == 1


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"delimiter": "ab"}, "delimiter is 'ab'; expected one character"),
        ({"header_row": -1}, "expected a line number"),
        ({"header_row": True}, "expected a line number"),
        ({"currency": "EURO"}, "expected three capital letters"),
        ({"in_cents": "yes"}, "expected true or false"),
        ({"leave_out": ["total"]}, "expected an object of column and values"),
        ({"encoding": 8}, "expected the name of an encoding"),
    ],
)
def test_a_value_of_the_wrong_kind_is_named(by, account, wrong, why):
    with pytest.raises(Refused, match=why):
        save_profile(by, "Wrong", {**MAPPING, **wrong})
    with pytest.raises(Refused, match=why):
        preview(FILE, "a.csv", account, Side.STATEMENT, {**MAPPING, **wrong})
