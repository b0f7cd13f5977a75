"""Runs of tokens are found by numbers: all that are some whole text of the other side, and no other."""

import random

import pyarrow as pa
import pytest

from recon.engine.token_runs import inner_runs, wholes
from rules.criteria.text import compact_key, loose_key, text_tokens

LEAST = 4


def texts(draw, *, letters):
    made = ["".join(draw.choices(letters, k=draw.randint(1, 14))) for _ in range(40)]
    return [tokens for text in made if (tokens := text_tokens(text))]


def some_run(draw, text):
    """Some tokens of a text, with other spaces and zeros."""
    tokens = text.split()
    first = draw.randrange(len(tokens))
    letters = "".join(tokens[first : draw.randint(first, len(tokens)) + 1])
    spaced = "".join(draw.choice(["", "", " ", "0", " 0"]) + letter for letter in letters)
    return " ".join(spaced.split())


def ways(tokens, *, compact):
    """The tokens as the engine has them: for loose keys they have lost their zeros, for compact keys not yet."""
    shown = tokens if compact else [" ".join(loose_key(each) or "" for each in text.split()) for text in tokens]
    halves = [pa.array(shown[:7], pa.string()), pa.array(shown[7:], pa.string())]
    table = pa.table({"u": pa.array(range(100, 100 + len(shown)), pa.int32()), "text": pa.chunked_array(halves)})
    return [(table, compact)]


def runs(text, key):
    tokens = text.split()
    every = {key(" ".join(tokens[i:j])) for i in range(len(tokens)) for j in range(i + 1, len(tokens) + 1)}
    return {run for run in every if len(run) >= LEAST}


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize(("compact", "key"), [(False, loose_key), (True, compact_key)])
def test_a_text_is_found_wherever_a_run_of_tokens_has_its_key(seed, compact, key):
    draw = random.Random(seed)
    letters = ["  0015a", "   00 5", " 00aé银1"][seed % 3]
    outer = texts(draw, letters=letters)
    inner = texts(draw, letters=letters) + [some_run(draw, text) for text in outer * 3]
    whole, most = wholes(ways(inner, compact=compact), LEAST)
    assert most >= max(len(key(text)) for text in inner)
    names = dict(zip(whole.u.tolist(), whole.number.tolist(), strict=True))
    keys = {number: key(inner[u - 100]) for u, number in names.items()}
    assert set(keys.values()) >= {key(text) for text in inner if len(key(text)) >= LEAST}
    found = inner_runs(ways(outer, compact=compact), whole.number, LEAST, most)
    by_text: list[set[str]] = [set() for _ in outer]
    for u, number in zip(found.u.tolist(), found.number.tolist(), strict=True):
        if number in keys and len(keys[number]) >= LEAST:  # fewer letters, of several bytes each, may be found too
            by_text[u - 100].add(keys[number])
    assert any(by_text)
    assert by_text == [runs(text, key) & set(keys.values()) for text in outer]


def test_no_texts_have_no_runs():
    nothing, most = wholes(ways([], compact=True), LEAST)
    assert (len(nothing.u), most) == (0, 0)
    assert not len(inner_runs(ways(["12345"], compact=True), nothing.number, LEAST, most).u)
