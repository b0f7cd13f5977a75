"""Rules in words, on pages."""

from __future__ import annotations

import re

from django import template
from django.utils.html import conditional_escape, format_html
from django.utils.safestring import SafeString, mark_safe

from rules.criteria import FIELDS

register = template.Library()

_FIELD = re.compile(r"\*({})\*".format("|".join(FIELDS)))
_PATTERN = re.compile(r"the part matching `(.+)`")


@register.filter
def in_words(sentence: str) -> SafeString:
    """A criterion's sentence with its fields in bold and its pattern in monospace; everything else is escaped."""
    escaped = str(conditional_escape(sentence))
    marked = _FIELD.sub(r"<strong>\1</strong>", escaped)
    return mark_safe(_PATTERN.sub(r"the part matching <code>\1</code>", marked))  # noqa: S308 - escaped above


@register.simple_tag
def problem_list(problems: dict[str, list[str]], key: str, element: str) -> SafeString:
    """What is wrong with one input, placed beside it under the id that the input's aria-describedby names."""
    texts = problems.get(key, [])
    if not texts:
        return SafeString("")
    return format_html('<div class="invalid-feedback d-block" id="{}-problem">{}</div>', element, " ".join(texts))


@register.filter
def of_key(problems: dict[str, list[str]], key: str) -> bool:
    """Whether an input has a problem."""
    return key in problems
