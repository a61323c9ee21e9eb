"""Lists that are parsed element by element hold what a parser of the whole file finds."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainset.metadata.labels.json_lists import BrokenJson, JsonList, open_json
from trainset.metadata.records import load_json

_TEXT = st.text() | st.text(st.sampled_from('\\"[]{},:Yy_0e.-1'))
_PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | _TEXT
_JSON = st.recursive(_PLAIN, lambda c: st.lists(c) | st.dictionaries(_TEXT, c), max_leaves=12)
_OBJECTS = st.lists(st.dictionaries(_TEXT, _JSON))
_TOP = _JSON | _OBJECTS | st.dictionaries(_TEXT, _JSON | _OBJECTS)


def _whole(value: Any) -> Any:
    if isinstance(value, JsonList):
        assert value[len(value) - 1] == list(value)[-1]
        return list(value)
    return {k: _whole(v) for k, v in value.items()} if isinstance(value, dict) else value


@given(_TOP, st.sampled_from([None, 1]), st.booleans())
def test_lists_parsed_one_by_one_are_those_of_the_whole_file(
    value: Any, indent: int | None, ascii_: bool
) -> None:
    data = json.dumps(value, indent=indent, ensure_ascii=ascii_).encode("utf-8", "surrogatepass")
    assert repr(_whole(open_json(data))) == repr(load_json(data))


def test_brackets_and_backslashes_on_the_edges_of_blocks_are_seen() -> None:
    rng = random.Random(3)
    texts = ["".join(rng.choices('\\"[]{},ab', k=rng.randrange(60))) for _ in range(30_000)]
    found = open_json(json.dumps({"images": [{"a": [text]} for text in texts]}).encode())
    assert isinstance(found["images"], JsonList)
    assert [item["a"][0] for item in found["images"]] == texts


def test_integers_of_more_than_64_bits_stay_integers() -> None:
    (item,) = open_json(b'[{"id": 123456789012345678901234567890, "x": 0.1234567890123456789}]')
    assert item == {"id": 123456789012345678901234567890, "x": 0.1234567890123456789}


def test_nan_becomes_the_text_it_was() -> None:
    assert list(open_json(b'[{"a": NaN}, {"a": 1}]')) == [{"a": "NaN"}, {"a": 1}]


@pytest.mark.parametrize("data", [b"{", b'[{"a": }]', b'[{"a": 1} {"a": 2}]', b'[{"a": [1}]]', b""])
def test_broken_json_is_refused_here_or_where_it_is_parsed(data: bytes) -> None:
    with pytest.raises(BrokenJson):
        _whole(open_json(data))
