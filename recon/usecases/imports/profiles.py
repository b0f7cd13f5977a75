"""Import profiles: how the columns of a file are read, kept by name, used by accounts, taken elsewhere as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping as Plain
from dataclasses import dataclass
from typing import Any, Final

from django.db import transaction

from recon.models import Account, ImportProfile, Side
from recon.statements.mapping import Mapping, MappingError
from recon.usecases.errors import Refused
from recon.usecases.events import Actor, record

FIELDS: Final = {Side.STATEMENT: "statement_profile", Side.LEDGER: "ledger_profile"}
KIND: Final = "tieout import profile"
"""What an exported profile says it is."""


@dataclass(frozen=True)
class ProfileUse:
    """A profile, and the names of the accounts that read their statement or ledger files by it."""

    profile: ImportProfile
    statements_of: tuple[str, ...]
    ledgers_of: tuple[str, ...]


def import_profiles() -> list[ProfileUse]:
    """All profiles by name, with their uses: three queries."""
    profiles = ImportProfile.objects.order_by("name").prefetch_related("statement_accounts", "ledger_accounts")
    return [
        ProfileUse(
            profile,
            tuple(account.name for account in profile.statement_accounts.all()),
            tuple(account.name for account in profile.ledger_accounts.all()),
        )
        for profile in profiles
    ]


def profile_of(account: Account | None, side: Side) -> ImportProfile | None:
    """The profile an account's files are read by first."""
    profile: ImportProfile | None = getattr(account, FIELDS[side]) if account else None
    return profile


def save_profile(by: Actor, name: str, mapping: Plain[str, Any], *, replace: bool = False) -> ImportProfile:
    """Keep a mapping under a name. Raises Refused for a mapping that is none, or a name that is taken."""
    name, checked = _named(name), _checked(mapping)
    with transaction.atomic():
        known = ImportProfile.objects.select_for_update().filter(name=name).first()
        if known is None:
            profile = ImportProfile.objects.create(name=name, mapping=checked)
            _record(by, "profile created", profile, after={"name": name, "mapping": checked})
            return profile
        if known.mapping == checked:
            return known
        if not replace:
            raise Refused(f"There is already an import profile named {name!r}.")
        before, known.mapping = known.mapping, checked
        known.save(update_fields=["mapping", "updated_at"])
        _record(by, "profile changed", known, before={"mapping": before}, after={"mapping": checked})
    return known


def rename_profile(by: Actor, profile: ImportProfile, name: str) -> ImportProfile:
    """Give a profile another name. Raises Refused if it is taken or empty."""
    name = _named(name)
    with transaction.atomic():
        locked = ImportProfile.objects.select_for_update().get(pk=profile.pk)
        if locked.name == name:
            return locked
        if ImportProfile.objects.filter(name=name).exists():
            raise Refused(f"There is already an import profile named {name!r}.")
        before, locked.name = locked.name, name
        locked.save(update_fields=["name", "updated_at"])
        _record(by, "profile renamed", locked, before={"name": before}, after={"name": name})
    return locked


def delete_profile(by: Actor, profile: ImportProfile) -> None:
    """Forget a profile; accounts that used it read their next file as if it were the first."""
    with transaction.atomic():
        _record(by, "profile deleted", profile, before={"name": profile.name, "mapping": profile.mapping})
        profile.delete()


def use_profile(by: Actor, account: Account, side: Side, profile: ImportProfile | None) -> None:
    """Read an account's files of one side by a profile from now on, or by what they say themselves."""
    field = FIELDS[side]
    with transaction.atomic():
        locked = Account.objects.select_for_update(no_key=True).get(pk=account.pk)
        before = getattr(locked, field)
        if before == profile:
            return
        setattr(locked, field, profile)
        locked.save(update_fields=[field])
        was, now = ({field: each.name if each else None} for each in (before, profile))
        record(by, "account changed", "account", account.pk, account_id=account.pk, before=was, after=now)
    setattr(account, field, profile)


def remember(by: Actor, account: Account, side: Side, mapping: Plain[str, Any] | None) -> None:
    """What somebody chose for a file becomes the account's import profile: its own one, never a shared one."""
    if not mapping or account.is_builtin:
        return
    used = profile_of(account, side)
    checked = _checked(mapping)
    if used is not None and (used.mapping == checked or (not checked.get("columns") and used.mapping.get("columns"))):
        return  # nothing new; or answers about a file without columns, which would push a table's layout out
    name = f"{account.name[:170]}: {side.label} files"
    use_profile(by, account, side, save_profile(by, name, checked, replace=True))


def exported(profile: ImportProfile) -> str:
    """A profile as JSON, to be kept or taken to another installation."""
    return json.dumps({"kind": KIND, "name": profile.name, "mapping": profile.mapping}, indent=2, ensure_ascii=False)


def import_profile(by: Actor, text: str | bytes, *, replace: bool = False) -> ImportProfile:
    """A profile from what `exported` wrote, or from a bare mapping with a name. Raises Refused."""
    try:
        given = json.loads(text)
    except (ValueError, UnicodeDecodeError) as error:
        raise Refused(f"This is not JSON: {error}.") from error
    if not isinstance(given, dict) or not isinstance(given.get("mapping"), dict):
        raise Refused('This is no import profile: expected an object with "name" and "mapping".')
    return save_profile(by, str(given.get("name") or ""), given["mapping"], replace=replace)


def _checked(mapping: Plain[str, Any]) -> dict[str, Any]:
    """The mapping in its one way of writing. Raises Refused if it is none."""
    try:
        return Mapping.from_dict(dict(mapping)).to_dict()
    except (MappingError, TypeError, AttributeError) as error:
        raise Refused(f"The mapping cannot be used: {error}.") from error


def _named(name: str) -> str:
    name = name.strip()
    if not name:
        raise Refused("An import profile needs a name.")
    if len(name) > 200:
        raise Refused("The name of an import profile has at most 200 characters.")
    return name


def _record(by: Actor, verb: str, profile: ImportProfile, **more: Any) -> None:
    record(by, verb, "profile", profile.pk, **more)
