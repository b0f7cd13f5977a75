"""Tokens that two columns of texts share are found by numbers: all of them, and hardly any other."""

import random

import numpy as np
import pyarrow as pa
import pytest

from recon.engine.tokens import rarest, shared_tokens

LONG = "x" * 300
WORDS = ["a", "ab", "straße", "12345678", "123456789", "1234567890123456", "12345678901234567", "№", LONG, LONG + "y"]


def column(texts, *, chunks=1):
    parts = [texts[start::chunks] for start in range(chunks)]
    return pa.chunked_array([pa.array(part, pa.string()) for part in parts]), [text for part in parts for text in part]


def listed(tokens):
    """Which tokens, by number, each text has."""
    found: list[list[int]] = [[] for _ in tokens.size]
    for text, number in zip(tokens.text.tolist(), tokens.number.tolist(), strict=True):
        found[text].append(number)
    return found


@pytest.mark.parametrize("seed", range(8))
def test_two_texts_share_a_number_if_they_share_a_token(seed):
    draw = random.Random(seed)
    made = [[" ".join(draw.choices(WORDS, k=draw.randint(1, 5))) for _ in range(draw.randint(1, 40))] for _ in "lr"]
    (left, lines), (right, entries) = (column(texts, chunks=draw.randint(1, 3)) for texts in made)
    ours, theirs = shared_tokens((left, right))
    assert ours.size.tolist() == [len(text.split()) for text in lines]
    assert theirs.size.tolist() == [len(text.split()) for text in entries]
    for line, numbers in zip(lines, listed(ours), strict=True):
        for entry, others in zip(entries, listed(theirs), strict=True):
            assert {word[:128] for word in line.split()} & {word[:128] for word in entry.split()} or not set(
                numbers
            ) & set(others)
            assert set(numbers) & set(others) or not set(line.split()) & set(entry.split())


def test_tokens_that_the_other_side_does_not_have_are_dropped():
    codes = [f"code{number}" for number in range(20_000)]
    left, _ = column([f"payment of {code} other{code}" for code in codes])
    right, _ = column(codes[::2])
    ours, theirs = shared_tokens((left, right))
    assert len(theirs.number) == 10_000
    assert 10_000 <= len(ours.number) < 20_000
    assert set(theirs.number.tolist()) <= set(ours.number.tolist())


def test_a_text_is_looked_up_by_its_rarest_token_if_others_have_all_of_them():
    left, _ = column(["inv 2026 7", "inv 2026 8", "inv 2026 8", "inv 2026 9"])
    right, _ = column(["inv 2026 7", "inv 2026", "inv 1999", "8 inv"])
    ours, theirs = shared_tokens((left, right))
    found = rarest(theirs, ours)
    assert found.text.tolist() == [0, 1, 3]  # nobody has 1999
    assert found.count.tolist() == [1, 4, 2]
    numbers = listed(theirs)
    assert found.number.tolist() == [numbers[0][2], found.number[1], numbers[3][0]]


def test_columns_without_texts_share_nothing():
    ours, theirs = shared_tokens((column([])[0], column(["a b"])[0]))
    assert not len(ours.number)
    assert not len(theirs.number)
    assert not len(rarest(theirs, ours).text)
    assert np.array_equal(theirs.size, [2])
