"""The inputs that forms are made of, and what is read of an address or a form without one."""

from __future__ import annotations

from datetime import date
from typing import Any

from django import forms
from django.utils.dateparse import parse_date


class DateInput(forms.DateInput):
    input_type = "date"

    def __init__(self) -> None:
        super().__init__(attrs={"class": "form-control"}, format="%Y-%m-%d")


def text_input(placeholder: str = "", **attributes: Any) -> forms.TextInput:
    return forms.TextInput(attrs={"class": "form-control", "placeholder": placeholder, **attributes})


def select() -> forms.Select:
    return forms.Select(attrs={"class": "form-select"})


def check_box() -> forms.CheckboxInput:
    return forms.CheckboxInput(attrs={"class": "form-check-input"})


def after_key(text: str | None) -> int | None:
    """The key a page starts behind, from the address; nonsense means the first page."""
    return int(text) if text and text.isdecimal() and len(text) <= 18 else None


def parsed_day(text: str) -> date | None:
    """A calendar day from the address or a form; nonsense is none."""
    try:
        return parse_date(text)
    except ValueError:
        return None
