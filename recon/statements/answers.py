"""What a person answered about a file of a fixed format, and what still has to be asked: currency, sign, date order.

Answers travel as a `Mapping` without columns; a mapping with columns is a layout of tables and says nothing here.
"""

from __future__ import annotations

from dataclasses import replace

import pyarrow.compute as pc

from recon.statements.currencies import UNKNOWN
from recon.statements.mapping import Mapping
from recon.statements.model import Hints, Question, Reading


def answered(hints: Hints) -> Hints:
    """The hints with what a mapping without columns answers."""
    mapping = hints.mapping
    if mapping is None or mapping.columns:
        return hints
    sign = hints.sign if mapping.sign not in ("as_given", "inverted") else mapping.sign
    return replace(
        hints,
        encoding=hints.encoding or mapping.encoding,
        currency=mapping.currency or hints.currency,
        date_order=mapping.date_order or hints.date_order,
        sign=sign,
    )


def asking(reading: Reading, hints: Hints) -> Reading:
    """The reading with the question of its currency, if nothing names one, and a mapping that carries the answers."""
    questions = reading.questions
    currencies = {code for each in reading.statements for code in pc.unique(each.lines["currency"]).to_pylist()}
    if UNKNOWN in currencies:
        questions = (*questions, Question("currency", "Which currency are the amounts in?", (), UNKNOWN))
    given = hints.mapping if hints.mapping and not hints.mapping.columns else None
    return replace(reading, questions=questions, mapping=given or (Mapping() if questions else None))
