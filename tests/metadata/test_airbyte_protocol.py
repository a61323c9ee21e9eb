"""The pure half of Airbyte connectors: messages, columns, rows and states."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainset.metadata.airbyte.batches import ROWS, SOME, Gathering
from trainset.metadata.airbyte.protocol import States, catalog_streams, parse_line
from trainset.metadata.airbyte.rows import as_text, to_rows
from trainset.metadata.airbyte.schema import FieldColumn, arrow_type, columns_of, schema_of

UTC = pa.timestamp("us", tz="UTC")
BIG = 123456789012345678901234567890


@pytest.mark.parametrize(
    ("schema", "wanted"),
    [
        ({"type": "integer"}, pa.int64()),
        ({"type": ["null", "integer"]}, pa.int64()),
        ({"type": "number"}, pa.float64()),
        ({"type": "number", "airbyte_type": "integer"}, pa.int64()),
        ({"type": ["integer", "number"]}, pa.float64()),
        ({"type": "boolean"}, pa.bool_()),
        ({"type": "string", "format": "date-time"}, UTC),
        (
            {
                "type": "string",
                "format": "date-time",
                "airbyte_type": "timestamp_without_timezone",
            },
            pa.timestamp("us"),
        ),
        ({"type": "string", "format": "date"}, pa.date32()),
        ({"type": "string", "airbyte_type": "big_integer"}, pa.string()),
        ({"type": ["object", "null"]}, pa.string()),
        ({"type": "array"}, pa.string()),
        ({"type": ["string", "integer"]}, pa.string()),
        ({"oneOf": [{"type": "integer"}, {"type": "string"}]}, pa.string()),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, pa.int64()),
        ({}, pa.string()),
        (True, pa.string()),
    ],
)
def test_a_property_has_one_type(schema: Any, wanted: pa.DataType) -> None:
    assert arrow_type(schema) == wanted


def test_nested_keys_and_cursors_are_columns_of_their_own() -> None:
    meta = {"type": "object", "properties": {"id": {"type": "integer"}}}
    schema = {"type": "object", "properties": {"meta": meta, "a": {"type": "string"}}}
    columns = columns_of(schema, [("meta", "id"), ("a",), ("far", "off")])
    assert schema_of(columns) == pa.schema(
        [
            ("meta", pa.string()),
            ("a", pa.string()),
            ("meta.id", pa.int64()),
            ("far.off", pa.string()),
            ("_undeclared", pa.string()),
        ]
    )
    rows = to_rows([{"meta": {"id": 7}, "a": "x", "new": [1]}, {"a": None}], columns).to_pylist()
    assert rows[0] == {
        "meta": '{"id":7}',
        "a": "x",
        "meta.id": 7,
        "far.off": None,
        "_undeclared": '{"new":[1]}',
    }
    assert set(rows[1].values()) == {None}


def test_a_schema_that_takes_nothing_else_has_no_column_for_it() -> None:
    schema = {"properties": {"a": {"type": "string"}}, "additionalProperties": False}
    assert [c.name for c in columns_of(schema, [])] == ["a"]


def _column(wanted: pa.DataType, *values: Any) -> tuple[pa.DataType, list[Any]]:
    table = to_rows([{"c": v} for v in values], [FieldColumn("c", wanted, ("c",))])
    return table["c"].type, table["c"].to_pylist()


@pytest.mark.parametrize(
    ("wanted", "values", "found"),
    [
        (pa.int64(), [1, "x", None], ["1", "x", None]),
        (pa.int64(), [1, 2.5], ["1", "2.5"]),
        (pa.int64(), [1, BIG], ["1", str(BIG)]),
        (pa.int64(), [1, True], ["1", "true"]),
        (pa.float64(), [1, False], ["1", "false"]),
        (pa.float64(), [2**53 + 1, 0.5], [str(2**53 + 1), "0.5"]),
        (pa.bool_(), [True, 0], ["true", "0"]),
        (pa.string(), ["a", 5, {"b": 1, "a": [None]}], ["a", "5", '{"a":[null],"b":1}']),
        (pa.string(), ["\ud800x"], ["\\ud800x"]),
        (UTC, ["2026-01-01T00:00:00Z", "soon"], ["2026-01-01T00:00:00Z", "soon"]),
        (UTC, [1700000000], ["1700000000"]),
        (pa.date32(), ["2026-01-01", "1.2.26"], ["2026-01-01", "1.2.26"]),
    ],
)
def test_a_value_that_does_not_fit_makes_its_column_text(
    wanted: pa.DataType, values: list[Any], found: list[Any]
) -> None:
    assert _column(wanted, *values) == (pa.string(), found)


def test_an_integer_may_be_written_with_a_point() -> None:
    assert _column(pa.int64(), 3.0, None) == (pa.int64(), [3, None])


@pytest.mark.parametrize(
    ("written", "iso"),
    [
        ("2026-01-01T10:00:00Z", "2026-01-01T10:00:00+00:00"),
        ("2026-01-01T10:00:00", "2026-01-01T10:00:00+00:00"),  # no zone: UTC
        ("2026-01-01", "2026-01-01T00:00:00+00:00"),
        ("2026-01-01 10:00:00+02:00", "2026-01-01T08:00:00+00:00"),
        ("2026-01-01T10:00:00.123456789Z", "2026-01-01T10:00:00.123456+00:00"),
        ("2026-01-01T10:00:00.5-0130", "2026-01-01T11:30:00.500000+00:00"),
    ],
)
def test_times_are_read_as_apis_write_them(written: str, iso: str) -> None:
    kind, (value,) = _column(UTC, written)
    assert (kind, value.isoformat()) == (UTC, iso)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.lists(_json, max_size=5),
    st.sampled_from([pa.int64(), pa.float64(), pa.bool_(), pa.string(), UTC, pa.date32()]),
)
def test_no_value_is_lost_or_changed(values: list[Any], wanted: pa.DataType) -> None:
    kind, found = _column(wanted, *values)
    if kind == pa.string():
        assert found == [as_text(v) for v in values]
    elif kind in (pa.int64(), pa.float64(), pa.bool_()):
        assert found == values
    else:
        assert [v is None for v in found] == [v is None for v in values]


def test_a_message_is_parsed_with_all_its_digits() -> None:
    line = json.dumps({"type": "RECORD", "record": {"data": {"id": BIG, "n": 1.5}}}).encode()
    found = parse_line(line)
    assert found is not None
    assert found["record"]["data"] == {"id": BIG, "n": 1.5}
    odd = parse_line(b'{"type": "RECORD", "record": {"data": {"a": NaN, "b": "\\ud800"}}}')
    assert odd is not None
    assert odd["record"]["data"] == {"a": "NaN", "b": "\ud800"}


@pytest.mark.parametrize("line", [b"", b"Hello", b"{'a': 1}", b"[1]", b'{"no": "type"}', b'{"a'])
def test_what_is_no_message_is_none(line: bytes) -> None:
    assert parse_line(line) is None


def test_a_broken_record_is_not_taken_for_a_print() -> None:
    with pytest.raises(ValueError, match="no JSON"):
        parse_line(b'{"type":"RECORD","record":{"data":{"id":1')


def _stream_state(name: str, **at: Any) -> dict[str, Any]:
    one = {"stream_descriptor": {"name": name}, "stream_state": at}
    return {"type": "STREAM", "stream": one, "sourceStats": {"recordCount": 3.0}}


def test_the_newest_state_of_each_stream_is_sent_back_as_it_came() -> None:
    states = States()
    for state in (_stream_state("a", n=1), _stream_state("b", n=5), _stream_state("a", n=2)):
        states.take(state)
    sent = states.for_connector()
    assert [s["stream"]["stream_state"] for s in sent] == [{"n": 2}, {"n": 5}]
    assert all("sourceStats" not in s for s in sent)  # they differ when nothing changed
    assert States(states.kept()).for_connector() == sent


def test_a_global_state_replaces_all_and_a_legacy_one_is_sent_bare() -> None:
    states = States([_stream_state("a", n=1)])
    shared = {"type": "GLOBAL", "global": {"shared_state": {"lsn": 7}, "stream_states": []}}
    states.take(shared)
    assert states.for_connector() == [shared]
    states.take({"data": {"n": 3}})
    assert states.for_connector() == {"n": 3}
    assert States().for_connector() is None


def test_the_users_key_and_cursor_hold_where_the_connector_leaves_them_open() -> None:
    described = {
        "name": "t",
        "namespace": "public",
        "json_schema": {},
        "supported_sync_modes": ["full_refresh", "incremental"],
    }
    (plain,) = catalog_streams({"streams": [described]}, key={}, cursor={})
    assert (plain.name, plain.incremental, plain.key) == ("public.t", False, ())
    (asked,) = catalog_streams(
        {"streams": [described]}, key={"public.t": ["meta.id"]}, cursor={"public.t": "at"}
    )
    assert (asked.incremental, asked.cursor, asked.key) == (True, ("at",), (("meta", "id"),))
    (wanted,) = asked.configured()["streams"]
    assert (wanted["sync_mode"], wanted["cursor_field"]) == ("incremental", ["at"])


@given(st.lists(st.sampled_from(["record", "state"]), max_size=60), st.integers(1, 7))
def test_batches_hold_every_record_once_and_in_order(steps: list[str], room: int) -> None:
    waiting, given_out, number = Gathering(0.0), [], 0
    for step in steps:
        if step == "state":
            waiting.cover(0.0)
            continue
        number += 1
        waiting.add({"n": number}, 1)
        if number % room == 0:
            given_out += waiting.take(0.0)
    waiting.cover(0.0)
    given_out += waiting.take(0.0)
    assert [r["n"] for r in given_out] == list(range(1, number + 1))


def test_a_batch_ends_where_a_state_stands() -> None:
    waiting = Gathering(0.0)
    for n in range(SOME):
        waiting.add({"n": n}, 1)
    assert waiting.cover(0.0)
    for n in range(SOME, ROWS):
        full = waiting.add({"n": n}, 1)
    assert full
    assert len(waiting.take(0.0)) == SOME
    assert len(waiting.take(0.0)) == ROWS - SOME
