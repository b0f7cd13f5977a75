"""Changing an account: what it is, what of the ledger belongs to it, and what its runs start from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from recon.models import Account, AccountRule, ImportProfile, LedgerEntry, Match
from recon.usecases.accounts.scope import checked_scope, create_account
from recon.usecases.errors import Refused
from recon.usecases.events import Actor, record
from recon.usecases.grouping import check_grouping
from rules.models import MatchingRule


def save_account(by: Actor, account: Account | None, settings: Mapping[str, Any], rule_ids: Sequence[str]) -> Account:
    """Make an account, or change one; `settings` are fields of `Account`, `rule_ids` its rules in order.

    Raises Refused for a taken name, or a scope or time zone that is none. Rules that left are forgotten, not deleted.
    """
    with transaction.atomic():
        saved = create_account(by, **settings) if account is None else change_account(by, account, settings)
        set_rules(by, saved, rule_ids)
    return saved


def change_account(by: Actor, account: Account, settings: Mapping[str, Any]) -> Account:
    """Change fields of an account; nothing is written, also no event, where nothing differs."""
    with transaction.atomic():
        locked = Account.objects.select_for_update().get(pk=account.pk)
        before = {name: getattr(locked, name) for name in settings if getattr(locked, name) != settings[name]}
        if not before:
            return locked
        checked_scope(settings.get("scope"))
        if {"strategy", "grouping"} & before.keys():
            check_grouping(settings.get("strategy", locked.strategy), settings.get("grouping", locked.grouping))
        if "name" in before and Account.objects.filter(name=settings["name"]).exists():
            raise Refused(f"There is already an account named {settings['name']!r}.")
        for name in before:
            setattr(locked, name, settings[name])
        locked.save(update_fields=list(before))
        after = {name: plain(settings[name]) for name in before}
        was = {name: plain(value) for name, value in before.items()}
        record(by, "account changed", "account", locked.pk, account_id=locked.pk, before=was, after=after)
    return locked


def keep_number(by: Actor, account: Account) -> None:
    """Store the number that somebody chose for an account which has none yet."""
    stored = Account.objects.get(pk=account.pk)
    if account.number and not stored.number:
        change_account(by, stored, {"number": account.number})


def delete_account(by: Actor, account: Account) -> None:
    """Delete an account for which nothing was ever stored. Raises Refused for any other one."""
    with transaction.atomic():
        locked = Account.objects.select_for_update().get(pk=account.pk)
        if locked.is_builtin:
            raise Refused("The account behind the Blnk routes cannot be deleted.")
        if kept := [words for words, rows in stored_for(locked) if rows.exists()]:
            raise Refused(f"{locked.name} has {', '.join(kept)}; an account that was used is kept.")
        name, number = locked.name, locked.pk
        locked.delete()
        record(by, "account deleted", "account", number, account_id=number, before={"name": name})


def stored_for(account: Account) -> list[tuple[str, QuerySet[Any]]]:
    """What there may be of an account, in words, and its rows."""
    return [
        ("statements", account.statements.all()),
        ("runs", account.runs.all()),
        ("ledger imports", account.ledger_imports.all()),
        ("ledger entries", LedgerEntry.objects.filter(account_id=account.pk)),
        ("matches", Match.objects.filter(account_id=account.pk)),
    ]


def set_rules(by: Actor, account: Account, rule_ids: Sequence[str]) -> None:
    """The account's ordered rule set."""
    with transaction.atomic():
        before = list(account.rule_places.order_by("position").values_list("rule_id", flat=True))
        known = set(MatchingRule.objects.listed().filter(pk__in=rule_ids).values_list("pk", flat=True))
        after = [pk for pk in dict.fromkeys(rule_ids) if pk in known]
        if before == after:
            return
        account.rule_places.all().delete()
        AccountRule.objects.bulk_create(
            AccountRule(account=account, rule_id=pk, position=place) for place, pk in enumerate(after, start=1)
        )
        record(
            by, "account rules changed", "account", account.pk,
            account_id=account.pk, before={"rules": before}, after={"rules": after},
        )  # fmt: skip


def plain(value: object) -> Any:
    """A field's value as JSON data."""
    return str(value) if isinstance(value, date | Decimal | ImportProfile) else value
