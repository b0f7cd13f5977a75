"""The webhook pages."""

from __future__ import annotations

import pytest
from django.urls import reverse

from recon.models import WebhookDelivery, WebhookEndpoint
from recon.usecases.outside.secrets import unseal
from recon.usecases.outside.webhook_delivery import deliver_due
from recon.usecases.outside.webhooks import create_endpoint, send_test
from tests.cast import actor
from tests.listening import listening


@pytest.fixture
def listener(settings):
    settings.PRIVATE_HOSTS = ["127.0.0.1"]
    with listening(lambda _: (200, {}, b"thanks")) as listener:
        yield listener


@pytest.fixture
def endpoint(alice, listener):
    return create_endpoint(actor(alice), f"{listener.url}/hook", ["run.finished"])[0]


def test_a_webhook_is_made_and_its_secret_shown_this_once(client, db):
    page = client.post(
        reverse("webhook_new"), {"url": "https://example.com/hook", "events": ["run.finished"], "description": "x"}
    )
    made = WebhookEndpoint.objects.get()
    secret = unseal(made.sealed_secret)
    assert secret in page.content.decode()
    assert "no-store" in page.headers["Cache-Control"]
    for address in (reverse("webhook", args=[made.pk]), reverse("webhooks"), reverse("settings"), reverse("audit")):
        assert secret not in client.get(address).content.decode()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"url": "example.com", "events": ["run.finished"]}, "Expected an address"),
        ({"url": "https://example.com"}, "Choose at least one event"),
        ({"events": ["run.finished"]}, "This field is required"),
    ],
)
def test_a_form_that_cannot_hold_says_why(client, db, given, expected):
    page = client.post(reverse("webhook_new"), given)
    assert page.status_code == 422
    assert expected in page.content.decode()
    assert not WebhookEndpoint.objects.exists()


def test_a_webhook_is_changed(client, endpoint):
    address = reverse("webhook_edit", args=[endpoint.pk])
    assert endpoint.url in client.get(address).content.decode()
    client.post(address, {"url": "https://example.com/new", "events": ["period.closed"]})
    endpoint.refresh_from_db()
    assert (endpoint.url, endpoint.events) == ("https://example.com/new", ["period.closed"])


def test_a_test_says_what_came_of_it(client, endpoint, listener):
    page = client.post(reverse("webhook_test", args=[endpoint.pk]), follow=True)
    assert "The test arrived: answered 200" in page.content.decode()
    listener.reply = lambda _: (403, {}, b"")
    page = client.post(reverse("webhook_test", args=[endpoint.pk]), follow=True)
    assert "answered 403, expected 200 to 299" in page.content.decode()


def test_the_log_shows_deliveries_and_sends_one_again(client, alice, endpoint, listener):
    send_test(actor(alice), endpoint)
    page = client.get(reverse("webhook", args=[endpoint.pk])).content.decode()
    assert "webhook.test" in page
    assert "200" in page
    delivery = WebhookDelivery.objects.get()
    shown = client.get(reverse("delivery", args=[delivery.pk])).content.decode()
    assert "thanks" in shown
    assert delivery.event_id in shown
    client.post(reverse("delivery_replay", args=[delivery.pk]))
    assert deliver_due() == 1
    assert len(listener.received) == 2


def test_the_panel_gets_the_fragment(client, alice, endpoint):
    send_test(actor(alice), endpoint)
    address = reverse("delivery", args=[WebhookDelivery.objects.get().pk])
    fragment = client.get(address, headers={"HX-Request": "true", "HX-Target": "panel-body"}).content.decode()
    assert "<html" not in fragment
    assert "What is sent" in fragment


def test_a_log_costs_the_same_queries_however_long_it_is(client, alice, endpoint, django_assert_num_queries):
    address = reverse("webhook", args=[endpoint.pk])
    for _ in range(3):
        send_test(actor(alice), endpoint)
    with django_assert_num_queries(5):  # session, user, endpoint, deliveries, attempts
        client.get(address)


def test_disabled_enabled_renewed_deleted(client, endpoint):
    client.post(reverse("webhook_enable", args=[endpoint.pk]), {"enabled": "false"})
    endpoint.refresh_from_db()
    assert not endpoint.enabled
    client.post(reverse("webhook_enable", args=[endpoint.pk]), {"enabled": "true"})
    page = client.post(reverse("webhook_secret", args=[endpoint.pk])).content.decode()
    endpoint.refresh_from_db()
    assert endpoint.enabled
    assert unseal(endpoint.sealed_secret) in page
    client.post(reverse("webhook_delete", args=[endpoint.pk]))
    assert not WebhookEndpoint.objects.exists()


def test_the_settings_say_that_a_webhook_was_disabled(client, endpoint):
    WebhookEndpoint.objects.update(enabled=False, disabled_why="Nothing has arrived for 3 days.")
    assert "Disabled: nothing arrived" in client.get(reverse("settings")).content.decode()
    assert "Nothing has arrived for 3 days." in client.get(reverse("webhook", args=[endpoint.pk])).content.decode()
