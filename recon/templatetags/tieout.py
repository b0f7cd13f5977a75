"""The small words of every page: money, badges, ids, times, icons."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from django import template
from django.contrib.humanize.templatetags.humanize import naturaltime
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from recon.wording import REASONS, STATUSES, Status

register = template.Library()


@register.simple_tag
def icon(name: str, label: str = "") -> SafeString:
    """One symbol of the sprite. Without a label it is decoration and hidden from screen readers."""
    href = f"{static('vendor/tabler-icons.svg')}#{name}"
    if label:
        return format_html('<svg class="icon" role="img" aria-label="{}"><use href="{}"></use></svg>', label, href)
    return format_html('<svg class="icon" aria-hidden="true"><use href="{}"></use></svg>', href)


@register.simple_tag
def money(amount: Decimal | None, currency: str = "") -> SafeString:
    """An exact amount with thousands separators and its currency; nothing is rounded or cut off."""
    if amount is None:
        return format_html('<span class="text-secondary">{}</span>', "–")
    return format_html(
        '<span class="amount">{} <span class="currency">{}</span></span>'
        if currency
        else '<span class="amount">{}</span>',
        f"{amount:,f}",
        currency,
    )


@register.simple_tag
def badge(state: str, word: str = "") -> SafeString:
    """A status as icon and word; `word` replaces the usual one."""
    status = STATUSES.get(state) or Status("circle-dot", state.replace("_", " "), "neutral")
    return format_html(
        '<span class="badge status status-{}">{}{}</span>', status.tone, icon(status.icon), word or status.word
    )


@register.simple_tag
def reason(code: str) -> str:
    """What a reason code means, for a person; an unknown code is shown as it came."""
    return REASONS.get(code) or code.replace("_", " ")


@register.simple_tag
def copy_id(value: object, short: bool = True) -> SafeString:
    """An id in monospace with a button that copies the whole of it."""
    text = str(value)
    shown = f"{text[:14]}…" if short and len(text) > 18 else text
    return format_html(
        '<span class="id"><code title="{0}">{1}</code><button type="button" class="btn-copy" data-copy="{0}" '
        'aria-label="Copy {0}">{2}</button></span>',
        text,
        shown,
        icon("copy"),
    )


@register.simple_tag
def when(instant: datetime | None) -> SafeString:
    """An instant, relative and exact together."""
    if instant is None:
        return format_html('<span class="text-secondary">{}</span>', "–")
    local = timezone.localtime(instant)
    return format_html(
        '<time datetime="{}" title="{}" class="when"><span>{}</span> <small>{}</small></time>',
        instant.isoformat(),
        f"{local:%Y-%m-%d %H:%M:%S %Z}",
        naturaltime(instant),
        f"{local:%Y-%m-%d %H:%M}",
    )


@register.simple_tag
def day(value: date | None) -> SafeString:
    """A calendar day, unambiguous in every country."""
    if value is None:
        return format_html('<span class="text-secondary">{}</span>', "no date")
    return format_html('<time datetime="{0}" class="day">{0}</time>', value.isoformat())


@register.filter
def number(value: int) -> str:
    """A count with thousands separators."""
    return f"{value:,}"
