"""Random rules over every operator, field, value, drift and extension that the contract knows."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from tests.engine.judging import Body

TEXT_FIELDS = ("reference", "description", "counterparty")


def _maybe(**choices: Sequence[object]) -> st.SearchStrategy[Body]:
    """Each key left out, or given one of its values."""
    return st.fixed_dictionaries({}, optional={key: st.sampled_from(values) for key, values in choices.items()})


def _criterion(
    field: str | st.SearchStrategy[str],
    operator: str | st.SearchStrategy[str],
    more: st.SearchStrategy[Body] | None = None,
) -> st.SearchStrategy[Body]:
    fields = st.just(field) if isinstance(field, str) else field
    operators = st.just(operator) if isinstance(operator, str) else operator
    return st.tuples(fields, operators, st.just({}) if more is None else more).map(
        lambda t: {"field": t[0], "operator": t[1], **t[2]}
    )


SIDES = ("statement", "ledger", "both")


def _either(*strategies: st.SearchStrategy[Body]) -> st.SearchStrategy[Body]:
    return st.tuples(*strategies).map(lambda parts: {key: value for part in parts for key, value in part.items()})


def _value(*values: str) -> st.SearchStrategy[Body]:
    return st.sampled_from(values).map(lambda value: {"value": value})


amounts = st.one_of(
    _criterion("amount", "eq", _maybe(allowable_drift=["0", "0.01", "0.02", "1.00", "100"])),
    _criterion("amount", "equals", st.just({"allowable_drift": "2", "drift_unit": "percent"})),
    _criterion("amount", "equals", _maybe(allowable_drift=["0", "0.01", "0.015", "0.5", "1"])),
    _criterion("amount", "within_range", _value("0", "0.01", "2%", "-1.00..0.25", "-5%..0%", "0.01..0.02", "-100..1")),
    _criterion("amount", st.sampled_from(["greater_than", "less_than"])),
)
constant_amounts = st.one_of(
    _criterion("amount", "between", _either(_value("0..1.01", "-1..1", "0.99..100"), _maybe(applies_to=SIDES))),
    _criterion(
        "amount",
        st.sampled_from(["greater_than", "less_than"]),
        _either(_value("0", "1.00"), _maybe(applies_to=SIDES)),
    ),
    _criterion("amount", "eq", _either(_value("1.00", "0"), _maybe(applies_to=SIDES, allowable_drift=["0.01", "2"]))),
)
dates = st.one_of(
    _criterion("date", "eq", _maybe(allowable_drift=["0", "1800", "86400", "90000"])),
    _criterion("date", "eq", st.just({"allowable_drift": "1", "drift_unit": "days"})),
    _criterion(
        "date", "within_range",
        _either(
            _value("2d", "0d", "36h", "1h", "1800s", "-1d..3d", "0d..2d", "-36h..24h", "1d..3d"),
            _maybe(expected=["2d", "1d"]),
        ),
    ),
    _criterion("date", st.sampled_from(["after", "before", "greater_than", "less_than"])),
)  # fmt: skip
TIMES = ("2026-03-28", "2026-03-28T09:00:00Z", "2026-03-29T00:30:00+01:00", "2026-03-28T22:59:00Z")
constant_dates = st.one_of(
    _criterion(
        "date", "between",
        _either(
            _value(
                "2026-03-27..2026-03-29", "2026-03-28T09:00:00Z..2026-03-28T22:59:00Z", "2026-03-28T09:30Z..2026-03-29"
            ),
            _maybe(applies_to=SIDES),
        ),
    ),
    _criterion("date", st.sampled_from(["after", "before", "eq"]), _either(_value(*TIMES), _maybe(applies_to=SIDES))),
    _criterion(
        "date", "eq",
        _either(
            _value(*TIMES), _maybe(applies_to=SIDES),
            st.sampled_from([
                {"allowable_drift": "1800"}, {"allowable_drift": "90000"},
                {"allowable_drift": "0", "drift_unit": "days"}, {"allowable_drift": "1", "drift_unit": "days"},
            ]),
        ),
    ),
)  # fmt: skip
PATTERNS = (r"(INV-\d+)", r"[A-Z]+\d+", r"ref\s*(\d+)", r"(x)?REF", r"\d{4,}")
texts = st.one_of(
    _criterion(st.sampled_from(TEXT_FIELDS), "eq", _maybe(loose=[True], ledger_field=TEXT_FIELDS, pattern=PATTERNS)),
    _criterion(st.sampled_from(TEXT_FIELDS), "contains",
        _maybe(loose=[True], substring=[True], ledger_field=TEXT_FIELDS),
    ),
    _criterion(st.sampled_from(TEXT_FIELDS), "contains", _maybe(pattern=PATTERNS, ledger_field=TEXT_FIELDS)),
    _criterion(st.sampled_from(TEXT_FIELDS), "contains", _maybe(allowable_drift=["0", "10", "40"])),
    _criterion(st.sampled_from(TEXT_FIELDS), "has_words", _maybe(pattern=PATTERNS, ledger_field=TEXT_FIELDS)),
    _criterion(st.sampled_from(TEXT_FIELDS), "agrees", _maybe(loose=[True], ledger_field=TEXT_FIELDS)),
    _criterion(
        st.sampled_from(TEXT_FIELDS), st.sampled_from(["starts_with", "ends_with"]),
        _maybe(loose=[True], ledger_field=TEXT_FIELDS, pattern=PATTERNS),
    ),
    _criterion(st.sampled_from(TEXT_FIELDS), "similar",
        _either(
            _value("80", "60", "100", "33", "95.2", "90%"),
            _maybe(loose=[True], ledger_field=TEXT_FIELDS, pattern=PATTERNS),
        ),
    ),
)  # fmt: skip
constant_texts = _criterion(
    st.sampled_from(TEXT_FIELDS), st.sampled_from(["eq", "contains", "starts_with", "ends_with"]),
    _either(
        _value("RF18 5390 0754 7034", "2024-0012", "0 500", "INV-0012", "inv", "1234",
            "Cafe\u0301 77", "ref12345", "müller", "0012", "  Store "),
        _maybe(applies_to=SIDES, loose=[True], pattern=PATTERNS),
    ),
)  # fmt: skip
currencies = st.one_of(
    _criterion("currency", "eq"),
    _criterion("currency", "eq", _either(_value("XAA", "xab", "USD"), _maybe(applies_to=SIDES))),
)
criteria = st.one_of(
    amounts, dates, texts, amounts, dates, texts, constant_amounts, constant_dates, constant_texts, currencies
)


@st.composite
def rules(draw: st.DrawFn, grouped: bool = False) -> Body:
    rule: Body = {"name": "random", "criteria": draw(st.lists(criteria, min_size=1, max_size=3))}
    rule |= draw(
        _maybe(
            on_ambiguity=["review", "date", "best", "skip"],
            max_difference=["0", "0.01", "1"],
            difference_type=["fee"],
            suggest_only=[False, False, True],
        )
    )
    if grouped:
        rule |= draw(_maybe(group_date=["earliest", "latest"]))
    return rule


@st.composite
def sum_rules(draw: st.DrawFn) -> Body:
    """Rules by which sums can be sought: all their comparisons of amounts are windows, and there is at least one."""
    rule = draw(rules())
    ordered = [
        c for c in rule["criteria"] if c["field"] == "amount" and c["operator"].endswith("_than") and "value" not in c
    ]
    windows = draw(
        st.lists(amounts, min_size=1, max_size=2).filter(lambda some: all("than" not in c["operator"] for c in some))
    )
    return rule | {"criteria": [*windows, *(c for c in rule["criteria"] if c not in ordered)]}
