"""Statement amounts in the ledger's currency, by the rates of the run."""

from __future__ import annotations

from fractions import Fraction

from recon.engine.currencies import exponent
from recon.engine.session import Session
from recon.engine.sides import Sides
from rules.criteria.scope import quoted


def in_every_currency(session: Session, sides: Sides, source: str) -> str:
    """Query for the statement's units as they are, and again in each ledger currency that the run has a rate for."""
    from_ = f"({source})" if " " in source else source
    query = f"SELECT s.* FROM {from_} s"
    for (own, other), rate in sorted(session.options.rates.items()):
        amount = converted_sql(Fraction(rate), sides.scope.scale, exponent(other))
        query += f" UNION ALL SELECT s.* REPLACE ({amount} AS amt, {quoted(other)} AS ccy) FROM {from_} s"
        query += f" WHERE s.ccy = {quoted(own)} AND {quoted(own)} <> {quoted(other)}"
    return query


def places_sql(session: Session, currency: str) -> str:
    """SQL: the decimal places of what was converted into a currency."""
    into = sorted({other for _, other in session.options.rates})
    each = " ".join(f"WHEN {quoted(other)} THEN {exponent(other)}" for other in into)
    return f"CASE {currency} {each} ELSE 0 END"


def converted_sql(rate: Fraction, scale: int, places: int) -> str:
    """SQL: ``s.amt`` (at ``scale``) times the rate, rounded half-even to ``places``, again at ``scale``. Exact."""
    step = 10 ** (scale - places)
    divisor = rate.denominator * step
    product = f"(s.amt::HUGEINT * {rate.numerator})"
    whole = f"({product} - (({product} % {divisor}) + {divisor}) % {divisor}) // {divisor}"
    rest = f"((({product} % {divisor}) + {divisor}) % {divisor}) * 2"
    up = f"CASE WHEN {rest} > {divisor} OR ({rest} = {divisor} AND {whole} % 2 <> 0) THEN 1 ELSE 0 END"
    return f"(({whole} + {up}) * {step})"
