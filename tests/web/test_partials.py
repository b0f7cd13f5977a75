"""Which of a page and its fragment an htmx request gets."""

from __future__ import annotations

import pytest
from django.test import RequestFactory

from recon.partials import page_or_fragment

FRAGMENTS = {"messages": "partials/messages.html"}


@pytest.mark.parametrize(
    ("headers", "is_page"),
    [
        ({}, True),  # somebody opens the address
        ({"HX-Request": "true", "HX-Target": "messages"}, False),  # htmx swaps the fragment
        ({"HX-Request": "true", "HX-Target": "content"}, True),  # htmx swaps something else of the page
        ({"HX-Target": "messages"}, True),  # not htmx, whatever it says
    ],
)
def test_the_swapped_id_decides_between_page_and_fragment(headers, is_page):
    response = page_or_fragment(RequestFactory().get("/", headers=headers), "404.html", FRAGMENTS, {})
    assert ("<!doctype html>" in response.content.decode()) is is_page


def test_caches_are_told_that_the_answer_depends_on_the_target():
    response = page_or_fragment(RequestFactory().get("/"), "404.html", FRAGMENTS, {})
    assert response.headers["Vary"] == "HX-Request, HX-Target"


def test_a_refused_form_keeps_its_status():
    assert page_or_fragment(RequestFactory().get("/"), "404.html", FRAGMENTS, {}, status=422).status_code == 422
