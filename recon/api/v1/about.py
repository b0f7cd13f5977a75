"""The caller, and the people."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from rest_framework import serializers

from recon.api.v1.fields import InstantField, Shape
from recon.api.v1.paging import Paged, paged
from recon.api.v1.spec import Call, operation
from recon.models import ApiKey, KeyScope

TAG = "About"


class CallerShape(Shape):
    """Who calls, and what they may do."""

    user = serializers.CharField()
    key = serializers.CharField(allow_null=True, help_text="Name of the API key; null: a signed-in browser.")
    scopes = serializers.ListField(child=serializers.ChoiceField(KeyScope.choices))
    expires_at = InstantField(allow_null=True)

    example = {"user": "shop", "key": "shop", "scopes": ["read", "upload"], "expires_at": None}


class PersonShape(Shape):
    """Somebody who may own open items."""

    id = serializers.IntegerField(source="pk")
    name = serializers.CharField(source="username")
    full_name = serializers.CharField(source="get_full_name")
    is_service = serializers.SerializerMethodField(help_text="A service account: keys belong to it, nobody signs in.")

    example = {"id": 1, "name": "alice", "full_name": "Alice Archer", "is_service": False}

    def get_is_service(self, user: User) -> bool:
        return not user.has_usable_password()


@operation(TAG, gives=CallerShape)
def get_caller(call: Call) -> dict[str, Any]:
    """Get the caller.

    A first call to see that the key works, and what it may do."""
    key = call.request.auth if isinstance(call.request.auth, ApiKey) else None
    return {
        "user": call.request.user.get_username(),
        "key": key.name if key else None,
        "scopes": key.scopes if key else KeyScope.values,
        "expires_at": key.expires_at if key else None,
    }


@operation(TAG, gives=PersonShape, paged=True)
def list_people(call: Call) -> Paged:
    """List the people and service accounts, the newest first."""
    return paged(User.objects.filter(is_active=True), call.query)
