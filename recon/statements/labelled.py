"""Text in which every row is a block of labelled lines (``Date: …``, ``Amount: …``) instead of one line of a table."""

from __future__ import annotations

import re
from collections import Counter
from typing import Final

from recon.statements.cells import Row

_LABELLED: Final = re.compile(r"\s*([^\W\d][\w ./-]{1,30}?)\s?:\s*(.*?)\s*")
_LEAST_BLOCKS: Final = 2
_SAMPLE_LINES: Final = 400


def labelled_rows(text: str) -> list[Row] | None:
    """A header of the labels and a row per block; None when the text is no such list.

    A block begins where the first of the repeated labels comes again. What stands before the first block is kept as
    rows above the header.
    """
    lines = text.splitlines()
    labels = _repeated_labels(lines[:_SAMPLE_LINES])
    if not labels:
        return None
    above: list[Row] = []
    blocks: list[tuple[int, dict[str, str]]] = []
    for number, line in enumerate(lines, start=1):
        found = _LABELLED.fullmatch(line)
        label = found[1] if found else None
        if label == labels[0]:
            blocks.append((number, {}))
        if found and label in labels and blocks:
            blocks[-1][1][label or ""] = found[2]
        elif line.strip() and not blocks:
            above.append(Row(number, tuple(part.strip() for part in line.split(":", 1))))
    header = Row(blocks[0][0] - 1 if blocks else 0, tuple(labels))
    return [*above, header, *(Row(line, tuple(each.get(name, "") for name in labels)) for line, each in blocks)]


def _repeated_labels(lines: list[str]) -> list[str]:
    """Labels that come again and again, equally often, and make up most of the lines."""
    filled = [line for line in lines if line.strip()]
    found = [match[1] for line in filled if (match := _LABELLED.fullmatch(line))]
    counts = Counter(found)
    usual = max(counts.values(), default=0)
    labels = [label for label, count in counts.items() if count >= max(_LEAST_BLOCKS, usual - 1)]
    lined = sum(counts[label] for label in labels)
    return labels if len(labels) >= 3 and lined >= 0.7 * len(filled) else []
