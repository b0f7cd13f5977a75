"""Looking rows up by their numbers, with and without a search."""

from __future__ import annotations

import pyarrow as pa
import pytest

from recon.usecases.runs.totals import places

CASES = [
    ([3, 1, 2], [1, 2, 3], [2, 0, 1]),  # one after the other
    ([7, 4, 9], [5, 6, 7], [2, None, None]),  # not among them, on either side
    ([7, 5], [5, 7, 8], [1, 0]),  # with a gap
    ([5, 6], [6, 5], [1, 0]),  # in another order
    ([5, None], [5, 6], [0, None]),
    ([5], [], [None]),
    ([], [5], []),
]


@pytest.mark.parametrize(("values", "among", "found"), CASES)
def test_a_number_is_found_where_it_stands(values, among, found):
    arrays = (pa.chunked_array([pa.array(each, pa.int64())]) for each in (values, among))
    assert places(*arrays).to_pylist() == found


def test_numbers_may_come_in_several_pieces():
    values = pa.chunked_array([[12], [11, 20]])
    assert places(values, pa.chunked_array([[10, 11], [12]])).to_pylist() == [2, 1, None]
