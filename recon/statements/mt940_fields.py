"""MT940 text to its tagged fields, whatever envelope and line ends it comes in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_TAG = re.compile(r"[ \t]*:(\d{2,3}[A-Z]?|NS):(.*)", re.DOTALL)
_TAG_START = re.compile(r":\d?")
_TAG_END = re.compile(r"\d{1,2}[A-Z]?:")
_ENVELOPE = re.compile(r"^.*\{4:")


@dataclass
class Field:
    """One tagged field: its tag, its lines, and the physical line it starts on."""

    line: int
    tag: str
    lines: list[str]

    @property
    def raw(self) -> str:
        return f":{self.tag}:" + "\n".join(self.lines)


def fields_of(text: str) -> Iterator[Field]:
    """The tagged fields in file order; what stands before the first tag or after a message's end is envelope."""
    if "@@:" in text:
        text = text.replace("@@", "\n")
    current: Field | None = None
    for number, line in _whole_lines(text):
        found = _TAG.match(line)
        if found:
            if current:
                yield current
            current = Field(number, found[1], [found[2]])
        elif line.rstrip() == "-" or line.startswith(("-}", "-XXX")):  # a message's end; Dutch banks write "-XXX"
            if current:
                yield current
            current = None
        elif current:
            current.lines.append(line)
    if current:
        yield current


def _whole_lines(text: str) -> Iterator[tuple[int, str]]:
    """Numbered lines, with SWIFT's envelope cut off and tags that a line break has torn apart put together again."""
    torn: tuple[int, str] | None = None
    for number, line in enumerate(re.split(r"\r\n|\n|\r", text), start=1):
        if torn:
            if _TAG_END.match(line):
                yield torn[0], torn[1] + line
                torn = None
                continue
            yield torn
            torn = None
        if line.startswith(("{", "$", "-}")) and "{4:" in line:
            line = _ENVELOPE.sub("", line)
            yield number, "-"
        if _TAG_START.fullmatch(line):
            torn = number, line
        else:
            yield number, line
    if torn:
        yield torn
