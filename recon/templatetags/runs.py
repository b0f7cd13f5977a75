"""Words for what runs decide."""

from __future__ import annotations

from django import template

from recon.wording import DECISIONS

register = template.Library()


@register.simple_tag
def decided(code: str) -> str:
    """Why a match is confirmed or only suggested, for a person; an unknown code is shown as it came."""
    return DECISIONS.get(code) or code.replace("_", " ")
