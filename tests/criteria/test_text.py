"""Texts are made comparable in one way, whether one by one, by the column, or in SQL."""

import duckdb
import pyarrow as pa
import pytest

from rules.criteria.text import ascii_tokens, loose_key, loose_tokens_sql, text_key, text_keys, text_tokens, tokens_sql

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
    query = f"SELECT {tokens_sql('k')}, replace({loose_tokens_sql('k')}, ' ', '') FROM (SELECT ?::VARCHAR AS k)"
    row = duckdb.connect().execute(query, [text_key(text)]).fetchone()
    assert row == (text_tokens(text), loose_key(text))


def test_tokens_of_an_ascii_column_are_those_of_its_texts():
    texts = [text for text in TEXTS if text is None or text.isascii()] * 2
    texts += ["- a", "a -", "-a--b- c-", "a", "", "x.y", "-", "last, not least", "Kept As It Is", "\x7f"]
    keys = [text if text == "Kept As It Is" else text_key(text) for text in texts]
    tokens = [text if text == "Kept As It Is" else text_tokens(text) for text in texts]
    assert ascii_tokens(pa.array(keys, pa.string())).to_pylist() == tokens
    assert ascii_tokens(pa.array(keys, pa.string()).slice(3, 9)).to_pylist() == tokens[3:12]
    assert ascii_tokens(pa.array([], pa.string())).to_pylist() == []
    assert ascii_tokens(pa.array([None, None], pa.string())).to_pylist() == [None, None]
