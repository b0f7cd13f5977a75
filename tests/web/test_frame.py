"""The frame around every page: sign-in, navigation, policy, error pages."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from django.template import Context, Template
from django.test import Client
from django.urls import reverse

from recon.wording import STATUSES

ROOT = Path(__file__).resolve().parents[2]


def render(source: str, **context: object) -> str:
    return Template("{% load tieout %}" + source).render(Context(context))


def test_a_stranger_is_sent_to_the_sign_in_page_and_back(db, alice):
    browser = Client()
    assert browser.get("/").headers["Location"] == "/login/?next=/"
    signed_in = browser.post("/login/?next=/", {"username": "alice", "password": "alice-password-1", "next": "/"})
    assert signed_in.headers["Location"] == "/"


def test_a_wrong_password_is_said_and_nobody_is_signed_in(db, alice):
    browser = Client()
    response = browser.post("/login/", {"username": "alice", "password": "wrong"})
    assert "Please enter a correct username and password" in response.content.decode()
    assert "_auth_user_id" not in browser.session


def test_signing_out_ends_at_the_sign_in_page(client):
    assert client.post("/logout/").headers["Location"] == reverse("login")


def test_the_navigation_marks_where_one_is_and_links_only_what_exists(client):
    page = client.get("/").content.decode()
    here = re.search(r'<a class="nav-link" href="/" aria-current="page">', page)
    assert here
    for address in re.findall(r'<a class="nav-link" href="([^"]+)"', page):
        assert client.get(address).status_code == 200, address


def test_no_page_carries_inline_script_or_style(client):
    pages = [client.get("/").content.decode(), Client().get("/login/").content.decode()]
    for page in pages:
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=", page)


def test_every_response_forbids_what_is_inline_or_from_elsewhere(client):
    policy = client.get("/").headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy


def test_an_unknown_address_says_so(client):
    response = client.get("/nothing/here/")
    assert response.status_code == 404
    assert "There is nothing at this address" in response.content.decode()


def test_a_stale_form_says_that_nothing_was_stored(alice):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(alice)
    response = browser.post("/logout/")
    assert response.status_code == 403
    assert "nothing was stored" in response.content.decode()


def test_a_body_over_the_limit_is_refused_by_its_announced_length(client, settings):
    settings.MAX_UPLOAD_BYTES = 1024 * 1024
    response = client.post("/", data=b"", content_type="text/csv", CONTENT_LENGTH=str(2 * 1024**3))
    assert response.status_code == 413
    assert "It has 2048 MB; this installation takes files of up to 1 MB" in response.content.decode()


def test_a_fragment_of_somebody_signed_out_moves_the_whole_page(db):
    response = Client().get("/", headers={"HX-Request": "true"})
    assert (response.status_code, response.headers["HX-Redirect"]) == (204, "/login/")


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [
        (Decimal("1234567.50"), "EUR", '1,234,567.50 <span class="currency">EUR</span>'),
        (Decimal("-0.05"), "USD", '-0.05 <span class="currency">USD</span>'),
        (Decimal("1200"), "JPY", '1,200 <span class="currency">JPY</span>'),  # no decimal places are invented
        (Decimal("9999999999999999.99"), "EUR", "9,999,999,999,999,999.99"),  # 18 digits keep every one
        (Decimal("1E+3"), "", "1,000"),  # never in powers of ten
    ],
)
def test_money_is_shown_exactly(amount, currency, shown):
    assert shown in render("{% money amount currency %}", amount=amount, currency=currency)


def test_a_status_is_an_icon_and_a_word():
    html = render('{% badge "on_hold" %}')
    assert "On hold" in html
    assert "#player-pause" in html


def test_a_reason_from_a_newer_engine_is_still_shown():
    assert render('{% reason "no_candidate" %}') == "No candidate"
    assert render('{% reason "moon_phase" %}') == "moon phase"


def test_an_instant_is_relative_and_exact_together():
    html = render("{% when at %}", at=datetime(2020, 2, 29, 13, 5, 9, tzinfo=UTC))
    assert "ago" in html
    assert "2020-02-29 13:05:09 UTC" in html


def test_a_long_id_is_shortened_on_screen_and_copied_whole():
    html = render("{% copy_id id %}", id="recon_0123456789abcdef")
    assert 'data-copy="recon_0123456789abcdef"' in html
    assert ">recon_01234567…<" in html


def test_what_a_file_says_is_never_markup():
    assert "<b>" not in render("{% copy_id id %}{% badge id %}{% money 1 id %}", id="<b>x</b>")


def test_every_icon_in_use_is_in_the_sprite():
    sprite = (ROOT / "static/vendor/tabler-icons.svg").read_text()
    there = set(re.findall(r'<symbol id="([^"]+)"', sprite))
    used = {status.icon for status in STATUSES.values()}
    for template in (ROOT / "templates").rglob("*.html"):
        used |= set(re.findall(r'(?:\{% icon |symbol=)"([^"]+)"', template.read_text()))
    assert used <= there


def test_the_vendored_files_are_what_their_table_says():
    table = (ROOT / "static/vendor/README.md").read_text()
    rows = re.findall(r"^\| (\S+) \|.*`([0-9a-f]{64})` \|$", table, re.MULTILINE)
    assert {name for name, _ in rows} == {path.name for path in (ROOT / "static/vendor").iterdir()} - {"README.md"}
    for name, digest in rows:
        assert hashlib.sha256((ROOT / "static/vendor" / name).read_bytes()).hexdigest() == digest, name
