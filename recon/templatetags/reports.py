"""Where the figures of a reconciliation statement lead to."""

from __future__ import annotations

from collections.abc import Mapping

from django import template
from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe

from recon.usecases.reports.as_at import UNDATED
from recon.usecases.reports.figures import Month

register = template.Library()

QUERIES = {
    "lines": "&amp;side=0&amp;standing=all",
    "open_lines": "&amp;side=0",
    "open_entries": "&amp;side=1",
    "later": "&amp;side=1&amp;standing=later",
}


@register.simple_tag
def figure_url(name: str) -> str:
    """The page with the rows of one of its sums."""
    return reverse("report_differences" if name == "differences" else "report_rows")


@register.filter
def figure_query(name: str) -> SafeString:
    """What to ask that page for, beside account, day and currency."""
    return mark_safe(QUERIES.get(name, ""))  # noqa: S308  ours


@register.filter
def month_query(month: Month) -> SafeString:
    """What to ask for the rows that were booked in a month."""
    days = {"since": month.since, "until": month.until}
    asked = {name: day.isoformat() for name, day in days.items() if day} or {"age": UNDATED}
    return mark_safe("".join(f"&amp;{name}={value}" for name, value in asked.items()))  # noqa: S308  days of ours


@register.filter
def named(words: Mapping[str, str], name: str) -> str:
    return words[name]
