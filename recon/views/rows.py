"""What pages of both sides show of a row."""

from __future__ import annotations

import json
from typing import Any


def extra_facts(extra: str | None) -> list[tuple[str, Any]]:
    """What else the file said, by name; nested values as they stand in JSON. Numbers keep their digits."""
    facts = json.loads(extra, parse_float=str) if extra else {}
    return [
        (name.replace("_", " "), json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value)
        for name, value in facts.items()
    ]
