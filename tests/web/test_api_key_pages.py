"""Keys in Settings: made, shown once, revoked."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from recon.models import ApiKey, Event
from tests.api.conftest import Caller

FORM = {"name": "Nightly import", "owner": "me", "scopes": ["read", "upload"], "lifetime": "30"}


def text_of_key(response) -> str:
    found = re.findall(r"tieout_[\w-]{40,}", response.content.decode())
    assert found
    return found[0]


def test_a_key_is_shown_once_and_works(client, alice):
    made = client.post("/settings/api-keys/new/", FORM)
    text = text_of_key(made)
    assert "no-store" in made.headers["Cache-Control"]
    assert Caller(text).get("/reconciliation").status_code == 200
    assert Caller(text).post("/reconciliation/matching-rules", {}).status_code == 403
    key = ApiKey.objects.get()
    assert (key.user, key.scopes) == (alice, ["read", "upload"])
    assert key.expires_at
    assert 29 <= (key.expires_at - timezone.now()).days <= 30
    listed = client.get("/settings/api-keys/").content.decode()
    assert text not in listed
    assert f"{key.prefix}…" in listed


def test_a_service_account_owns_a_key_and_cannot_sign_in(client):
    client.post(
        "/settings/api-keys/new/", {**FORM, "owner": "service", "service": "shop", "requests_per_minute": "60"}
    )
    key = ApiKey.objects.get()
    assert (key.user.username, key.is_of_service, key.requests_per_minute) == ("shop", True, 60)
    assert not User.objects.get(username="shop").has_usable_password()
    assert "service account" in client.get("/settings/api-keys/").content.decode()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": ""}, "This field is required."),
        ({"scopes": []}, "Choose at least one scope."),
        ({"scopes": ["everything"]}, "everything is not one of the available choices"),
        ({"owner": "service"}, "Name the service account"),
        ({"owner": "service", "service": "alice"}, "a person&#x27;s user name"),
        ({"requests_per_minute": "0"}, "greater than or equal to 1"),
    ],
)
def test_a_form_that_does_not_hold_makes_nothing(client, change, said):
    response = client.post("/settings/api-keys/new/", {**FORM, **change})
    assert response.status_code == 422
    assert said in response.content.decode()
    assert not ApiKey.objects.exists()


def test_a_revoked_key_is_refused_at_once(client):
    text = text_of_key(client.post("/settings/api-keys/new/", FORM))
    key = ApiKey.objects.get()
    page = client.post(f"/settings/api-keys/{key.pk}/revoke/", follow=True)
    assert "opens nothing any more" in page.content.decode()
    assert Caller(text).get("/reconciliation").status_code == 401
    assert Event.objects.get(verb="API key revoked").actor_id == key.user_id


@pytest.mark.parametrize("path", ["/settings/api-keys/", "/settings/api-keys/new/"])
def test_only_who_is_signed_in_sees_keys(client, path):
    client.logout()
    assert client.get(path).status_code == 302


def test_the_list_takes_one_query_however_many_keys(client, django_assert_max_num_queries):
    for number in range(3):
        client.post("/settings/api-keys/new/", {**FORM, "name": f"key {number}"})
    with django_assert_max_num_queries(5):
        client.get("/settings/api-keys/")
