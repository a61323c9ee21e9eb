"""Keys among keys: the same answer whether they are hashed or lie close enough to be counted."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainset.metadata.tables.lookup import Lookup

_LOW, _HIGH = -(2**63), 2**63 - 1
_NUMBERS = st.one_of(
    st.integers(-50, 50), st.integers(_LOW, _LOW + 50), st.integers(_HIGH - 50, _HIGH)
)


def _check(values: pa.Array, keys: pa.Array) -> None:
    held = values.to_pylist()
    for key, place in zip(keys.to_pylist(), Lookup(values).find(keys).tolist(), strict=True):
        assert (place >= 0) == (key in held)
        assert place < 0 or held[place] == key


@given(st.lists(_NUMBERS, unique=True, max_size=40), st.lists(_NUMBERS, max_size=40))
def test_whole_numbers_of_any_size(values: list[int], keys: list[int]) -> None:
    _check(pa.array(values, pa.int64()), pa.array(keys, pa.int64()))


@pytest.mark.parametrize("kind", [pa.int8(), pa.int16(), pa.int32(), pa.uint8(), pa.uint64()])
def test_whole_numbers_of_every_width(kind: pa.DataType) -> None:
    least = -(2 ** (kind.bit_width - 1)) if pa.types.is_signed_integer(kind) else 0
    ends = [least, least + 1, 0, 5, least + 2**kind.bit_width - 1]
    _check(pa.array(ends[1:], kind), pa.array(ends, kind))


@given(st.lists(st.text(), unique=True, max_size=20), st.lists(st.text(), max_size=20))
def test_texts(values: list[str], keys: list[str]) -> None:
    _check(pa.array(values, pa.string()), pa.array(keys, pa.string()))


def test_a_null_among_the_values_is_no_key() -> None:
    values = pa.array([1, None, 3], pa.int64())
    assert Lookup(values).find(pa.array([3, 2], pa.int64())).tolist() == [2, -1]
