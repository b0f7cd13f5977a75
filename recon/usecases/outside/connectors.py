"""Connectors: made, changed, tried."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.db import transaction
from django.db.models import Max

from recon.blnk_core import Core, CoreError, Filter, count_transactions, find_transactions
from recon.models import Connector, Event, SyncState
from recon.outbound import AddressRefusedError, checked_url, refuse_plainly_private
from recon.usecases.errors import Refused
from recon.usecases.events import Actor, record
from recon.usecases.outside.secrets import seal, unseal

LEAST_MINUTES: Final = 1

SETTINGS: Final = (
    "name", "account", "balances", "start_on", "every_minutes", "overlap_minutes", "skips_unreadable", "writes_back",
    "enabled",
)  # fmt: skip
"""What may be set, beside the address and the key."""


@transaction.atomic
def create_connector(by: Actor, *, url: str, key: str, **settings: Any) -> Connector:
    """A new connector; `settings` are those of `SETTINGS`. Reads nothing yet. Raises Refused."""
    connector = Connector(sealed_url=seal(checked(url)), sealed_key=seal(checked_key(key)), created_by=by.user)
    assign(connector, settings)
    connector.save()
    record(by, "connector created", "connector", connector.pk, account_id=connector.account_id, after=told(connector))
    return connector


@transaction.atomic
def change_connector(
    by: Actor, connector: Connector, *, url: str | None = None, key: str | None = None, **settings: Any
) -> Connector:
    """Change what is given. Address and key stand in no trail, only that they were changed. Raises Refused."""
    locked = Connector.objects.select_for_update().get(pk=connector.pk)
    before = told(locked)
    if url is not None and url != unseal_or_empty(locked.sealed_url):
        locked.sealed_url, before["address"] = seal(checked(url)), "another one"
    if key:
        locked.sealed_key, before["key"] = seal(checked_key(key)), "another one"
    if settings.get("writes_back") and not locked.writes_back:
        locked.written_event = 0  # look at everything once more
    assign(locked, settings)
    locked.save()
    if (after := told(locked)) != before:
        record(
            by, "connector changed", "connector", locked.pk, account_id=locked.account_id, before=before, after=after
        )
    return locked


@transaction.atomic
def delete_connector(by: Actor, connector: Connector) -> None:
    """Forget a connector and its log; entries and their ledger imports stay. Raises Refused while it is at work."""
    locked = Connector.objects.select_for_update().get(pk=connector.pk)
    if locked.syncs.filter(state__in=SyncState.active()).exists():
        raise Refused(f"{locked.name} is being read at the moment; cancel that first.")
    record(by, "connector deleted", "connector", locked.pk, account_id=locked.account_id, before=told(locked))
    locked.delete()


def try_connector(connector: Connector) -> int:
    """Ask for one transaction and for how many there are; returns that. Raises Refused with what is wrong."""
    core = Core(unseal(connector.sealed_url), unseal(connector.sealed_key))
    final = [Filter("status", "eq", "APPLIED")]
    try:
        find_transactions(core, final, limit=1)
        return count_transactions(core, final)
    except CoreError as error:
        raise Refused(error.message) from error


def assign(connector: Connector, settings: Mapping[str, Any]) -> None:
    """Raises Refused for what cannot work together."""
    if unknown := settings.keys() - set(SETTINGS):
        raise Refused(f"A connector has no setting {', '.join(sorted(unknown))}; expected {', '.join(SETTINGS)}.")
    for name, value in settings.items():
        setattr(connector, name, value)
    if not connector.name.strip():
        raise Refused("A connector needs a name.")
    if Connector.objects.filter(name=connector.name).exclude(pk=connector.pk).exists():
        raise Refused(f"There is already a connector named {connector.name!r}.")
    if connector.account is not None and not connector.balances:
        raise Refused(
            f"Name the balances that {connector.account} stands for: they say which transactions are its own, and "
            "which way money went."
        )
    if connector.every_minutes is not None and connector.every_minutes < LEAST_MINUTES:
        raise Refused(f"A connector can be read every {LEAST_MINUTES} minute at most; empty means only by hand.")


def checked(url: str) -> str:
    try:
        parts = checked_url(url)
        refuse_plainly_private(parts)
    except AddressRefusedError as error:
        raise Refused(str(error)) from error
    if parts.query or parts.fragment:
        raise Refused("Give the address of the Blnk Core itself, without anything behind a question mark.")
    return url.rstrip("/")


def checked_key(key: str) -> str:
    if not key.strip().isascii() or not key.strip().isprintable():
        raise Refused("The key holds characters that no key has; copy it once more.")
    return key.strip()


def unseal_or_empty(sealed: str) -> str:
    """What pages show; empty if this installation's secret key is another one by now."""
    try:
        return unseal(sealed)
    except Refused:
        return ""


def newest_event() -> int:
    return Event.objects.aggregate(newest=Max("pk"))["newest"] or 0


def told(connector: Connector) -> dict[str, Any]:
    """The settings as the audit trail keeps them."""
    found = {name: getattr(connector, name) for name in SETTINGS}
    account, start_on = connector.account, connector.start_on
    return found | {"account": account.name if account else None, "start_on": str(start_on) if start_on else None}
