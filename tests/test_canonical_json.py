"""Canonical JSON is what fingerprints and record ids are made of: its form stays for ever."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from trainset.identity import canonical_json

NUMBERS = st.one_of(
    st.floats(),
    st.integers(),
    st.floats(-1e-3, 1e-3),
    st.floats(1e14, 1e18),
    st.integers(-7, 20).map(lambda e: float(f"1e{e}")),
)
TEXTS = st.one_of(
    st.text(),
    st.text(alphabet='0123456789.-e+,:[]"\\null\n\x01\x7f é'),
    st.sampled_from(["0.00001", "1e5", "null", "[1e5", "a:1e-7", '":0.00001']),
)
VALUES = st.recursive(
    st.one_of(NUMBERS, TEXTS, st.none(), st.booleans()),
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner) | st.tuples(inner, inner),
    max_leaves=12,
)


@settings(max_examples=1000, deadline=None)
@given(VALUES)
def test_canonical_json_is_written_as_the_standard_library_writes_it(value: object) -> None:
    plain = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert canonical_json(value) == plain.encode()
