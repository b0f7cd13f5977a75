"""API keys: made, shown once, revoked."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from rest_framework import serializers

from recon.api.idempotency import done_earlier
from recon.api.problems import Problem
from recon.api.v1.fields import InstantField, Shape
from recon.api.v1.paging import Paged, paged
from recon.api.v1.spec import Call, found, operation
from recon.models import ApiKey, KeyScope
from recon.usecases.outside import keys

TAG = "Keys"
KEYS = ApiKey.objects.select_related("user")


class KeyShape(Shape):
    """A key as it is kept: its text is nowhere."""

    id = serializers.IntegerField(source="pk")
    name = serializers.CharField()
    prefix = serializers.CharField(help_text="The key's first characters.")
    user = serializers.CharField(source="user.username")
    scopes = serializers.ListField(child=serializers.ChoiceField(KeyScope.choices))
    requests_per_minute = serializers.IntegerField(allow_null=True, help_text="Null: as installed; 0: any.")
    expires_at = InstantField(allow_null=True)
    revoked_at = InstantField(allow_null=True)
    last_used_at = InstantField(allow_null=True, help_text="To the minute.")
    created_at = InstantField()

    example: dict[str, Any] = {
        "id": 1,
        "name": "shop",
        "prefix": "tieout_a1B2c",
        "user": "shop",
        "scopes": ["read", "upload"],
        "requests_per_minute": None,
        "expires_at": None,
        "revoked_at": None,
        "last_used_at": "2026-03-31T12:00:00Z",
        "created_at": "2026-03-31T12:00:00Z",
    }


class NewKeyShape(Shape):
    """A new key with its text, which is shown this once."""

    key = KeyShape()
    text = serializers.CharField()

    example = {"key": KeyShape.example, "text": "tieout_…"}


class KeyInput(Shape):
    """A key to be made."""

    name = serializers.CharField(max_length=200)
    service_account = serializers.CharField(
        max_length=150, required=False, help_text="Whose key it is: an account of no person. The caller's if left out."
    )
    scopes = serializers.ListField(child=serializers.ChoiceField(KeyScope.choices), min_length=1, max_length=10)
    expires_at = serializers.DateTimeField(required=False, allow_null=True)
    requests_per_minute = serializers.IntegerField(
        min_value=0, max_value=10_000_000, required=False, allow_null=True, help_text="0: as many as it likes."
    )

    example = {"name": "shop", "service_account": "shop", "scopes": ["read", "upload"]}


@operation(TAG, scope="admin", gives=KeyShape, paged=True)
def list_keys(call: Call) -> Paged:
    """List API keys, the newest first."""
    return paged(KEYS, call.query)


@operation(TAG, scope="admin", takes=KeyInput, gives=NewKeyShape, status=201, repeatable=True, is_secret=True)
def create_key(call: Call) -> dict[str, Any]:
    """Create an API key.

    The answer is the only time it is shown."""
    if made := done_earlier(call.request, "key"):
        again = found(KEYS, "key", made)
        return {"key": again, "text": keys.text_again(call.by, again)}
    given = call.given
    owner: User | str | None = given.get("service_account") or call.by.user
    if owner is None:
        raise Problem("forbidden", "Nobody would own this key.")
    key, text = keys.create_key(
        call.by,
        owner,
        given["name"],
        given["scopes"],
        expires_at=given.get("expires_at"),
        requests_per_minute=given.get("requests_per_minute"),
    )
    return {"key": key, "text": text}


@operation(TAG, scope="admin", gives=KeyShape)
def revoke_key(call: Call, key_id: int) -> ApiKey:
    """Revoke an API key; it opens nothing from this moment."""
    keys.revoke_key(call.by, found(KEYS, "key", key_id))
    key: ApiKey = found(KEYS, "key", key_id)
    return key
