"""API keys: made, shown once, found again by digest, revoked."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from recon.models import ApiKey, ApiRequest, KeyScope
from recon.usecases.errors import Refused
from recon.usecases.events import Actor, record
from rules.kept_queries import KeptQuery

KEY_START = "tieout_"
PREFIX_LENGTH = len(KEY_START) + 5
USE_RECORDED_EVERY = timedelta(minutes=1)
"""`last_used_at` is for people; writing it with every request would make reads into writes."""


def digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


@transaction.atomic
def create_key(
    by: Actor,
    owner: User | str,
    name: str,
    scopes: Sequence[str],
    *,
    expires_at: datetime | None = None,
    requests_per_minute: int | None = None,
) -> tuple[ApiKey, str]:
    """Make a key for a user, or for the service account of a name, and return it with its text, which nobody can read
    again. Raises Refused."""
    unknown = [scope for scope in scopes if scope not in KeyScope.values]
    if unknown or not scopes:
        found = f"{', '.join(unknown)} is no scope" if unknown else "No scope was given"
        raise Refused(f"{found}; expected one or more of {', '.join(KeyScope.values)}.")
    if expires_at is not None and expires_at <= timezone.now():
        raise Refused("The expiry lies in the past; expected a later time.")
    user = service_account(by, owner) if isinstance(owner, str) else owner
    text = _text_of(by.request_id) if by.request_id else KEY_START + secrets.token_urlsafe(32)
    key = ApiKey.objects.create(
        name=name,
        prefix=text[:PREFIX_LENGTH],
        digest=digest(text),
        user=user,
        scopes=sorted(set(scopes)),
        expires_at=expires_at,
        requests_per_minute=requests_per_minute,
    )
    record(by, "API key created", "key", key.pk, after={"name": name, "scopes": key.scopes, "user": user.username})
    return key, text


def text_again(by: Actor, key: ApiKey) -> str:
    """The text of a key that this very request made in an earlier try. Raises Refused if it cannot be told."""
    text = _text_of(by.request_id) if by.request_id else ""
    if digest(text) != key.digest:
        raise Refused("This request made its key before, which cannot be shown again: revoke it and make another.")
    return text


def _text_of(request_id: int) -> str:
    """The text of the key that a request with an Idempotency-Key makes: the same in each try, and never kept.

    As good as a random one to whoever lacks the installation's secret key, with which sessions could be forged, too.
    """
    request = ApiRequest.objects.get(pk=request_id)
    told = f"tieout: API key of request {request_id} {request.user_id} {request.created_at.timestamp()} {request.key}"
    made = hmac.digest(settings.SECRET_KEY.encode(), told.encode(), hashlib.sha256)
    return KEY_START + base64.urlsafe_b64encode(made).decode().rstrip("=")


@transaction.atomic
def service_account(by: Actor, name: str) -> User:
    """The user behind keys that belong to no person: it cannot sign in."""
    user, created = User.objects.get_or_create(username=name)
    if created:
        user.set_unusable_password()
        user.save(update_fields=["password"])
        record(by, "service account created", "user", user.pk, after={"username": name})
    elif user.has_usable_password():
        raise Refused(f"{name!r} is a person's user name; choose another name for the service account.")
    return user


@transaction.atomic
def revoke_key(by: Actor, key: ApiKey) -> None:
    if key.revoked_at is None:
        key.revoked_at = timezone.now()
        key.save(update_fields=["revoked_at"])
        record(by, "API key revoked", "key", key.pk, before={"name": key.name, "scopes": key.scopes})


_ASKED: Final = (
    "digest", "scopes", "requests_per_minute", "last_used_at", "user", "user__username", "user__is_active",
)  # fmt: skip
"""What every request asks of its key. Whatever else somebody wants to know is then read: to make Python's instants of
all that have to do with a key and its user would take as long as all the rest."""

_usable_by_digest = KeptQuery(
    lambda digest: ApiKey.objects.usable().select_related("user").filter(digest=digest).only(*_ASKED)
)


def find_key(text: str) -> ApiKey | None:
    """The usable key whose text this is; notes its use."""
    key = _usable_by_digest.first(digest(text))
    now = timezone.now()
    if key is not None and (key.last_used_at is None or now - key.last_used_at > USE_RECORDED_EVERY):
        ApiKey.objects.filter(pk=key.pk).update(last_used_at=now)
    return key
