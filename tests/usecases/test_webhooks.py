"""Webhooks: written with what they tell, signed, delivered at least once, given up at last."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from recon.models import (
    DeliveryState,
    Event,
    HookEvent,
    OpenItem,
    RunKind,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookEvent,
)
from recon.usecases.errors import Refused
from recon.usecases.outside import webhook_delivery
from recon.usecases.outside.secrets import seal, unseal
from recon.usecases.outside.webhook_delivery import ATTEMPTS, deliver_due, due, forget_old, take
from recon.usecases.outside.webhook_outbox import announce
from recon.usecases.outside.webhooks import (
    change_endpoint,
    create_endpoint,
    delete_endpoint,
    renew_secret,
    replay,
    send_test,
)
from recon.usecases.review.sla import report_over_sla
from recon.usecases.runs.starting import cancel_run, start_run
from tests.cast import SAME_AMOUNT, SAME_REFERENCE, actor, make_account, make_entries, make_rule, make_statement, row
from tests.listening import listening

ALL = [value for value, _ in HookEvent.to_choose()]


@pytest.fixture
def loopback(settings):
    settings.PRIVATE_HOSTS = ["127.0.0.1"]


@pytest.fixture
def listener(loopback):
    with listening(lambda _: (200, {}, b"thanks")) as listener:
        yield listener


@pytest.fixture
def hook(alice, listener):
    """An endpoint of Alice's and its secret."""
    return create_endpoint(actor(alice), f"{listener.url}/hook", ALL)


def tell(data=None):
    with transaction.atomic():
        return announce(HookEvent.RUN_FINISHED, data or {"run": {"number": 1}})


def make_due():
    WebhookDelivery.objects.filter(state="pending").update(next_attempt_at=timezone.now())


def run_once(alice, account, **more):
    make_entries(account, [row(1, "10.00", reference="A")])
    statement = make_statement(account, [row(1, "10.00", reference="A"), row(2, "5.00", reference="B")])
    rule = make_rule("Exact", SAME_AMOUNT, SAME_REFERENCE)
    return start_run(actor(alice), account, statement, [rule], is_dry_run=False, **{"kind": RunKind.INSTANT, **more})


def test_a_finished_run_is_told_signed_and_complete(alice, hook, listener):
    run = run_once(alice, make_account())
    assert deliver_due() == 1
    sent = listener.received[0]
    body = json.loads(sent.body)
    assert (sent.method, sent.path) == ("POST", "/hook")
    assert sent.headers["content-type"] == "application/json; charset=utf-8"
    assert sent.headers["tieout-event"] == body["type"] == "run.finished"
    assert sent.headers["tieout-event-id"] == body["id"]
    told = body["data"]["run"]
    assert (told["reconciliation_id"], told["state"]) == (run.run_id, "completed")
    assert told["lines"] == {"total": 2, "matched": 1, "suggested": 0, "unmatched": 1}
    # As a receiver would check it, with nothing of ours.
    _, secret = hook
    signed = sent.headers["tieout-timestamp"].encode() + b"." + sent.body
    expected = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    assert sent.headers["tieout-signature"] == f"v1={expected}"
    delivery = WebhookDelivery.objects.get()
    attempt = WebhookAttempt.objects.get()
    assert (delivery.state, attempt.status, attempt.excerpt) == ("delivered", 200, "thanks")
    assert deliver_due() == 0


def test_a_cancelled_and_a_failed_run_are_told_too(alice, hook, listener):
    account = make_account()
    run = run_once(alice, account, kind=RunKind.BATCH)
    cancel_run(actor(alice), run)
    assert json.loads(WebhookEvent.objects.get().body)["data"]["run"]["state"] == "cancelled"


def test_what_is_rolled_back_is_never_told(alice, hook):
    with transaction.atomic():
        announce(HookEvent.RUN_FINISHED, {})
        transaction.set_rollback(True)
    assert not WebhookEvent.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_announcing_outside_a_transaction_is_refused():
    with pytest.raises(RuntimeError, match="transaction"):
        announce(HookEvent.RUN_FINISHED, {})


def test_nobody_who_did_not_ask_is_told(alice, listener):
    create_endpoint(actor(alice), f"{listener.url}/1", ["period.closed"])
    create_endpoint(actor(alice), f"{listener.url}/2", ["run.finished"], enabled=False)
    assert tell() is None
    assert deliver_due() == 0


def test_what_fails_is_tried_again_later_and_given_up_at_last(alice, hook, listener):
    listener.reply = lambda _: (500, {}, b"broken")
    tell()
    pauses = []
    for attempt in range(1, ATTEMPTS + 1):
        make_due()
        assert deliver_due() == 1
        delivery = WebhookDelivery.objects.get()
        assert delivery.attempts == attempt
        if delivery.next_attempt_at:
            pauses.append(delivery.next_attempt_at - timezone.now())
    assert delivery.state == DeliveryState.FAILED
    assert deliver_due() == 0
    assert timedelta(seconds=20) < pauses[0] < timedelta(seconds=40)
    assert pauses[5] > 10 * pauses[0]
    assert max(pauses) < timedelta(hours=8)
    assert len(listener.received) == ATTEMPTS
    assert {sent.headers["tieout-event-id"] for sent in listener.received} == {delivery.event_id}


def test_a_busy_receiver_is_given_the_time_it_asks_for(hook, listener):
    listener.reply = lambda _: (429, {"Retry-After": "600"}, b"")
    tell()
    deliver_due()
    later = timezone.now() + timedelta(seconds=590)
    assert WebhookDelivery.objects.filter(next_attempt_at__gt=later).exists()


@pytest.mark.parametrize("status", [301, 404])
def test_only_success_counts_as_arrived(hook, listener, status):
    listener.reply = lambda _: (status, {"Location": "/elsewhere"}, b"")
    tell()
    deliver_due()
    assert WebhookDelivery.objects.get().state == DeliveryState.PENDING
    assert len(listener.received) == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "10.0.0.7:8080", "[::1]", "localhost", "127.1", "2130706433"])
def test_a_private_address_is_refused_when_it_is_given(alice, hook, settings, host):
    settings.PRIVATE_HOSTS = []
    with pytest.raises(Refused, match="private address"):
        create_endpoint(actor(alice), f"http://{host}/hook", ALL)
    with pytest.raises(Refused, match="private address"):
        change_endpoint(actor(alice), hook[0], url=f"http://{host}/hook")
    assert not change_endpoint(actor(alice), hook[0], url=hook[0].url, enabled=False).enabled


def test_an_address_that_is_private_by_now_gets_nothing(alice, settings):
    settings.PRIVATE_HOSTS = ["127.0.0.1"]
    with listening() as listener:
        create_endpoint(actor(alice), f"{listener.url}/hook", ALL)
        settings.PRIVATE_HOSTS = []
        tell()
        deliver_due()
        assert not listener.received
    attempt = WebhookAttempt.objects.get()
    assert attempt.status is None
    assert "private address" in attempt.excerpt


def test_an_attempt_whose_worker_was_killed_is_made_again(hook, listener):
    tell()
    (delivery,) = due()
    assert take(delivery) is not None  # and then the worker dies
    assert take(delivery) is None  # meanwhile nobody else may
    assert deliver_due() == 0
    make_due()  # a minute passes
    assert deliver_due() == 1
    assert WebhookDelivery.objects.get().state == DeliveryState.DELIVERED


def test_a_slow_endpoint_holds_up_only_itself(alice, hook, listener):
    for number in range(3):
        create_endpoint(actor(alice), f"{listener.url}/{number}", ALL)
    tell()
    tell()
    assert len(due()) == 4  # one each
    assert deliver_due() == 4
    assert deliver_due() == 4
    assert deliver_due() == 0


def test_an_endpoint_that_only_fails_is_disabled_and_the_trail_says_so(hook, listener):
    endpoint, _ = hook
    listener.reply = lambda _: (503, {}, b"")
    tell()
    deliver_due()
    endpoint.refresh_from_db()
    assert endpoint.enabled
    assert endpoint.failing_since is not None
    WebhookEndpoint.objects.update(failing_since=timezone.now() - webhook_delivery.PATIENCE - timedelta(minutes=1))
    make_due()
    deliver_due()
    endpoint.refresh_from_db()
    assert not endpoint.enabled
    assert "answered 503" in endpoint.disabled_why
    assert Event.objects.filter(verb="webhook disabled", object_id=endpoint.pk).count() == 1
    make_due()
    assert deliver_due() == 0


def test_enabling_again_forgives_and_sends_what_waits(alice, hook, listener):
    endpoint, _ = hook
    listener.reply = lambda _: (503, {}, b"")
    tell()
    deliver_due()
    change_endpoint(actor(alice), endpoint, enabled=False)
    listener.reply = lambda _: (204, {}, b"")
    enabled = change_endpoint(actor(alice), endpoint, enabled=True)
    assert enabled.failing_since is None
    assert deliver_due() == 1
    assert WebhookDelivery.objects.get().state == DeliveryState.DELIVERED


def test_one_success_ends_a_bad_time(hook, listener):
    endpoint, _ = hook
    listener.reply = lambda _: (503, {}, b"")
    tell()
    deliver_due()
    listener.reply = lambda _: (200, {}, b"")
    make_due()
    deliver_due()
    endpoint.refresh_from_db()
    assert endpoint.failing_since is None


def test_a_delivery_can_be_sent_again_with_the_same_id(alice, hook, listener):
    tell()
    with pytest.raises(Refused, match="first attempt"):
        replay(actor(alice), WebhookDelivery.objects.get())
    deliver_due()
    replay(actor(alice), WebhookDelivery.objects.get())
    assert deliver_due() == 1
    first, second = listener.received
    assert first.body == second.body
    assert WebhookAttempt.objects.count() == 2


def test_a_test_is_sent_at_once_and_once(alice, hook, listener):
    endpoint, _ = hook
    assert send_test(actor(alice), endpoint).state == DeliveryState.DELIVERED
    listener.reply = lambda _: (500, {}, b"")
    assert send_test(actor(alice), endpoint).state == DeliveryState.FAILED
    endpoint.refresh_from_db()
    assert endpoint.failing_since is None
    assert deliver_due() == 0


def test_a_new_secret_signs_from_now_on(alice, hook, listener):
    endpoint, _ = hook
    secret = renew_secret(actor(alice), endpoint)
    tell()
    deliver_due()
    sent = listener.received[0]
    signed = sent.headers["tieout-timestamp"].encode() + b"." + sent.body
    assert sent.headers["tieout-signature"] == f"v1={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"


def test_secrets_lie_encrypted_and_need_the_installations_key(hook, settings):
    secret = hook[1]
    with connection.cursor() as cursor:
        cursor.execute("SELECT sealed_secret FROM recon_webhookendpoint")
        (stored,) = cursor.fetchone()
    assert secret not in stored
    assert unseal(stored) == secret
    assert seal("a") != seal("a")
    settings.SECRET_KEY = "another key"
    with pytest.raises(Refused, match="enter it again"):
        unseal(stored)
    tell()
    deliver_due()
    assert "secret key" in WebhookAttempt.objects.get().excerpt


def test_no_secret_stands_in_the_audit_trail(alice, hook):
    endpoint, secret = hook
    renewed = renew_secret(actor(alice), endpoint)
    delete_endpoint(actor(alice), endpoint)
    trail = json.dumps(list(Event.objects.values("before", "after", "why")))
    assert secret not in trail
    assert renewed not in trail


@pytest.mark.parametrize(
    ("url", "events", "expected"),
    [
        ("ftp://example.com", ["run.finished"], "Expected an address"),
        ("https://me:pass@example.com/", ["run.finished"], "user name or password"),
        ("https://example.com/", [], "at least one event"),
        ("https://example.com/", ["run.started"], "no event run.started"),
        ("https://example.com/", ["webhook.test"], "no event webhook.test"),
    ],
)
def test_what_cannot_work_is_refused(alice, url, events, expected):
    with pytest.raises(Refused, match=expected):
        create_endpoint(actor(alice), url, events)


def test_old_events_are_forgotten(hook):
    tell()
    assert forget_old() == 0
    WebhookEvent.objects.update(created_at=timezone.now() - webhook_delivery.KEPT - timedelta(days=1))
    assert forget_old() == 1
    assert not WebhookDelivery.objects.exists()


def test_an_item_that_becomes_too_old_is_told_once(alice, hook, listener):
    account = make_account(sla_days=3)
    run_once(alice, account)
    OpenItem.objects.update(row_date=timezone.localdate() - timedelta(days=3))
    assert report_over_sla() == 0
    OpenItem.objects.update(row_date=timezone.localdate() - timedelta(days=4))
    assert report_over_sla() == 1
    assert report_over_sla() == 0
    (told,) = [json.loads(each.body) for each in WebhookEvent.objects.filter(type="exception.over_sla")]
    (item,) = told["data"]["items"]
    assert (item["amount"], item["currency"], item["age_days"]) == ("5.00", "EUR", 4)
    assert told["data"]["account"]["name"] == "Bank"


@pytest.mark.parametrize("state", ["resolved", "accepted"])
def test_what_is_dealt_with_or_has_no_limit_is_never_late(alice, hook, state):
    account = make_account(sla_days=3)
    run_once(alice, account)
    resolved_at = timezone.now() if state == "resolved" else None
    OpenItem.objects.update(row_date="2020-01-01", state=state, resolved_at=resolved_at)
    assert report_over_sla() == 0
    OpenItem.objects.update(state="open", resolved_at=None)
    type(account).objects.update(sla_days=None)
    assert report_over_sla() == 0
