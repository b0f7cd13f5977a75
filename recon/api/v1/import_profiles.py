"""Import profiles: how the columns of files are read, kept by name and used by accounts."""

from __future__ import annotations

from rest_framework import serializers

from recon.api.v1.fields import InstantField, PlainField, Shape
from recon.api.v1.paging import Paged, paged
from recon.api.v1.spec import Call, found, operation
from recon.models import ImportProfile
from recon.usecases.imports import profiles as usecases

TAG = "Statements"


class ProfileShape(Shape):
    """How the columns of a file are read."""

    id = serializers.IntegerField(source="pk")
    name = serializers.CharField()
    mapping = PlainField()
    updated_at = InstantField()

    example = {
        "id": 1,
        "name": "House bank: statement files",
        "mapping": {"columns": {"booking_date": "Date", "amount": "Amount"}, "decimal": ","},
        "updated_at": "2026-03-31T12:00:00Z",
    }


class ProfileInput(Shape):
    """A profile to be kept; `inspect_statement_file` shows the mapping of a file."""

    name = serializers.CharField(max_length=200)
    mapping = PlainField()
    replace = serializers.BooleanField(default=False, help_text="Change the profile of this name, if there is one.")

    example = {"name": "House bank", "mapping": {"columns": {"booking_date": "Date", "amount": "Amount"}}}


class NameInput(Shape):
    """A name."""

    name = serializers.CharField(max_length=200)

    example = {"name": "House bank, since April"}


@operation(TAG, gives=ProfileShape, paged=True)
def list_import_profiles(call: Call) -> Paged:
    """List import profiles, the newest first."""
    return paged(ImportProfile.objects.all(), call.query)


@operation(TAG, scope="admin", takes=ProfileInput, gives=ProfileShape, status=201, repeatable=True)
def create_import_profile(call: Call) -> ImportProfile:
    """Keep a mapping under a name."""
    return usecases.save_profile(call.by, call.given["name"], call.given["mapping"], replace=call.given["replace"])


@operation(TAG, gives=ProfileShape)
def get_import_profile(call: Call, profile_id: int) -> ImportProfile:
    """Get an import profile."""
    return profile_of(profile_id)


@operation(TAG, scope="admin", takes=NameInput, gives=ProfileShape)
def update_import_profile(call: Call, profile_id: int) -> ImportProfile:
    """Rename an import profile."""
    return usecases.rename_profile(call.by, profile_of(profile_id), call.given["name"])


@operation(TAG, scope="admin")
def delete_import_profile(call: Call, profile_id: int) -> None:
    """Forget an import profile.

    Accounts that used it read their next file as if it were the first."""
    usecases.delete_profile(call.by, profile_of(profile_id))


def profile_of(profile_id: int) -> ImportProfile:
    profile: ImportProfile = found(ImportProfile.objects, "import profile", profile_id)
    return profile
