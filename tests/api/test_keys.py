"""Keys: shown once, stored as a digest, limited by scope, expiry and revocation."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from recon.models import ApiKey, Event
from recon.usecases.errors import Refused
from recon.usecases.events import Actor
from recon.usecases.outside.keys import create_key, revoke_key
from tests.api.conftest import Caller


def created(user, *scopes, **options) -> str:
    return create_key(Actor.command(), user, "test", scopes, **options)[1]


def test_a_key_is_stored_only_as_a_digest(alice):
    text = created(alice, "read")
    key = ApiKey.objects.get()
    assert text.startswith(key.prefix)
    stored = [str(getattr(key, field.attname)) for field in ApiKey._meta.concrete_fields]
    assert not [value for value in stored if text in value]
    assert text not in str(Event.objects.values_list("after", flat=True))


@pytest.mark.parametrize("header", ["X-Blnk-Key", "x-blnk-key", "X-BLNK-KEY"])
def test_the_header_is_known_in_any_letter_case(alice, header):
    assert Caller(created(alice, "read"), header).get("/reconciliation").status_code == 200


def test_a_bearer_token_does_too(alice):
    caller = Caller(f"Bearer {created(alice, 'read')}", "Authorization")
    assert caller.get("/reconciliation").status_code == 200


@pytest.mark.parametrize("key", ["", "nonsense", "tieout_nonsense"])
def test_without_a_good_key_nothing_is_answered(db, key):
    response = Caller(key).get("/reconciliation/recon_x")
    assert response.status_code == 401
    assert response.data["error"] == response.data["error_detail"]["message"]
    assert response.data["error_detail"]["code"] == ("AUTH_INVALID_API_KEY" if key else "AUTH_MISSING_API_KEY")


def test_a_revoked_key_is_dead_at_once(alice):
    caller = Caller(created(alice, "read"))
    assert caller.get("/reconciliation").status_code == 200
    revoke_key(Actor.command(), ApiKey.objects.get())
    assert caller.get("/reconciliation").status_code == 401


def test_an_expired_key_is_dead(alice):
    caller = Caller(created(alice, "read", expires_at=timezone.now() + timedelta(hours=1)))
    ApiKey.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert caller.get("/reconciliation").status_code == 401


def test_a_key_of_a_deactivated_user_is_dead(alice):
    caller = Caller(created(alice, "read"))
    alice.is_active = False
    alice.save(update_fields=["is_active"])
    assert caller.get("/reconciliation").status_code == 401


@pytest.mark.parametrize(
    ("scopes", "method", "path", "status"),
    [
        (["read"], "GET", "/reconciliation", 200),
        (["read"], "POST", "/transactions", 403),
        (["read"], "POST", "/reconciliation/matching-rules", 403),
        (["rules"], "GET", "/reconciliation", 403),  # writing rules does not include reading everything
        (["rules"], "POST", "/reconciliation/matching-rules", 400),  # allowed; the body is refused
        (["admin"], "POST", "/transactions", 400),
    ],
)
def test_a_scope_opens_what_it_names(alice, scopes, method, path, status):
    assert Caller(created(alice, *scopes)).send(method, path, {} if method == "POST" else None).status_code == status


def test_last_use_is_noted(alice):
    Caller(created(alice, "read")).get("/reconciliation")
    assert ApiKey.objects.get().last_used_at is not None


@pytest.mark.parametrize("scopes", [[], ["everything"], ["read", "write"]])
def test_an_unknown_scope_is_refused(alice, scopes):
    with pytest.raises(Refused, match="expected one or more of read, rules"):
        created(alice, *scopes)


def test_the_command_prints_the_key_alone_on_the_last_line(db):
    out = StringIO()
    call_command("create_api_key", "--name", "shop", "--scopes", "read,run", stdout=out)
    text = out.getvalue().rstrip("\n").split("\n")[-1]
    assert Caller(text).get("/reconciliation").status_code == 200
    assert ApiKey.objects.get().scopes == ["read", "run"]


def test_the_command_does_not_take_a_persons_name(alice):
    with pytest.raises(CommandError, match="a person's user name"):
        call_command("create_api_key", "--name", "alice", "--scopes", "read")
