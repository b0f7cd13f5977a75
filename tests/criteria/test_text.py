"""Texts are made comparable in one way, whether one by one, by the column, or in SQL."""

import duckdb
import pyarrow as pa
import pytest

from rules.criteria.text import (
    ascii_tokens,
    both_loose_sql,
    compact_key,
    loose_key,
    loose_tokens_sql,
    text_key,
    text_keys,
    text_tokens,
    tokens_sql,
)

TEXTS = [
    "INV-0012",
    "  two   words ",
    "tab\tand\nline",
    "Straße",  # ß folds to ss
    "ﬁnance ①",  # compatibility forms
    "ＦＵＬＬ　ｗｉｄｔｈ",
    "İstanbul",
    "e\u0301 and é",
    "no\u00a0break",
    "RF18 5390 0754 7034",
    "0 05",
    "1 0 5",
    "A0-0B 001 x-0 0",
    "un\u200bseen \u00ad12",
    "a\x1cb",
    "--",
    "",
    "   ",
    "000",
    "A0001B002 0x00",
    "٣ digits",
    None,
]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("INV-12", "inv-12"),  # case
        ("  a \t b\n", "a b"),  # white space
        ("Straße", "strasse"),  # case folding, not lower case
        ("ﬁn", "fin"),  # compatibility
        ("\ufeffINV\u200b-\u00ad12\u200e", "inv-12"),  # what nobody sees
        ("\u200b", None),
        (" ", None),  # nothing left
        (None, None),
    ],
)
def test_a_key_folds_case_compatibility_and_space(text, key):
    assert text_key(text) == key


@pytest.mark.parametrize(
    ("text", "loose"),
    [
        ("INV-0012", "inv12"),  # separators and leading zeros go
        ("INV 12", "inv12"),
        ("2026-0001", "20261"),  # each run of digits as it was written
        ("A0001", "a1"),  # zeros inside a token, at the head of its digits
        ("100", "100"),  # only leading zeros
        ("000", "0"),
        ("!?", None),
    ],
)
def test_a_loose_key_keeps_letters_and_digits_without_leading_zeros(text, loose):
    assert loose_key(text) == loose


@pytest.mark.parametrize(
    ("text", "compact"),
    [
        ("RF18 5390 0754 7034", "rf18539007547034"),  # zeros within a number that is printed in groups
        ("00 00012 34500", "1234500"),  # only those at its head go
        ("INV-0012", "inv12"),
        ("A 000 1", "a1"),
        ("0 0", "0"),
        ("!?", None),
    ],
)
def test_a_compact_key_keeps_the_zeros_that_printing_in_groups_puts_first(text, compact):
    assert compact_key(text) == compact


def test_the_column_version_agrees_with_the_single_one():
    assert text_keys(pa.array(TEXTS, pa.string())).to_pylist() == [text_key(text) for text in TEXTS]


@pytest.mark.parametrize("text", [*TEXTS, "a b", "a  b", "a ", " a", "a\x00b", "a\x1fb", "a\x7fb"])
def test_they_agree_on_a_text_among_tidy_ones_in_a_part_of_a_column(text):
    column = pa.array(["x  y", "c d", text, "e", " z"], pa.string()).slice(1, 3)
    assert text_keys(column).to_pylist() == ["c d", text_key(text), "e"]


def test_an_empty_column_and_one_of_nothing_stay_so():
    assert text_keys(pa.array([], pa.string())).to_pylist() == []
    assert text_keys(pa.chunked_array([[None], [None]], pa.string())).to_pylist() == [None, None]


@pytest.mark.parametrize("text", [text for text in TEXTS if text])
def test_sql_and_python_agree_on_tokens_and_loose_keys(text):
    query = (
        f"SELECT {tokens_sql('k')}, replace({loose_tokens_sql('k')}, ' ', ''), {both_loose_sql('k')},"
        f" {both_loose_sql('k', tokens=True)} FROM (SELECT ?::VARCHAR AS k)"
    )
    [(tokens, loose, both, runs)] = duckdb.connect().execute(query, [text_key(text)]).fetchall()
    assert (tokens, loose) == (text_tokens(text), loose_key(text))
    compact = compact_key(text)
    assert both == (loose if compact == loose else f"{loose}|{compact}")
    assert (runs or "").replace(" ", "").split("|")[0] == (loose or "")
    assert compact == loose or runs.endswith(f"|{tokens}")


def test_tokens_of_an_ascii_column_are_those_of_its_texts():
    texts = [text for text in TEXTS if text is None or text.isascii()] * 2
    texts += ["- a", "a -", "-a--b- c-", "a", "", "x.y", "-", "last, not least", "Kept As It Is", "\x7f"]
    keys = [text if text == "Kept As It Is" else text_key(text) for text in texts]
    tokens = [text if text == "Kept As It Is" else text_tokens(text) for text in texts]
    assert ascii_tokens(pa.array(keys, pa.string())).to_pylist() == tokens
    assert ascii_tokens(pa.array(keys, pa.string()).slice(3, 9)).to_pylist() == tokens[3:12]
    assert ascii_tokens(pa.array([], pa.string())).to_pylist() == []
    assert ascii_tokens(pa.array([None, None], pa.string())).to_pylist() == [None, None]
