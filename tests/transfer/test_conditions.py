"""``where`` of a rule means what DuckDB says that it means, and never guesses at an unread file."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainset.errors import SpecError
from trainset.transfer.answers import FALSE, NULL, TRUE
from trainset.transfer.attributes import ATTRIBUTES, UNREAD
from trainset.transfer.conditions import parse_condition

DAY = datetime(2026, 1, 1, tzinfo=UTC)
TYPES = {"text": "VARCHAR", "number": "DOUBLE", "time": "TIMESTAMP"}
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "text": st.sampled_from(["", "a", "A", "ab", "a%b", "a_b", "b.c", "image/png", "ü"]),
    "number": st.sampled_from([0, 1, 2, 640, -3, 1.5]),
    "time": st.integers(0, 3).map(lambda days: DAY + timedelta(days=days)),
}
FACTS = ("mime", "modality", "width", "height", "duration", "pages")


def quoted(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, datetime):
        return f"'{value:%Y-%m-%d %H:%M:%S}'"
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else str(value)


@st.composite
def comparisons(draw: st.DrawFn) -> str:
    name = draw(st.sampled_from(sorted(ATTRIBUTES)))
    kind = ATTRIBUTES[name]
    values = VALUES[kind] if kind == "time" else VALUES[kind] | st.none()
    others = [n for n, other in sorted(ATTRIBUTES.items()) if other == kind]
    value = draw(values.map(quoted) | st.sampled_from(others))
    sort = draw(st.sampled_from(["compare", "in", "between", "null", "like"]))
    negated = draw(st.sampled_from(["", "not "]))
    if sort == "in":
        listed = ", ".join(draw(st.lists(values.map(quoted), min_size=1, max_size=3)))
        return f"{name} {negated}in ({listed})"
    if sort == "between":
        return f"{name} {negated}between {value} and {draw(values.map(quoted))}"
    if sort == "null":
        return f"{name} is {negated}null"
    if sort == "like" and kind == "text":
        like = draw(st.sampled_from(["like", "ilike"]))
        pattern = draw(st.sampled_from(["a%", "%B", "_", "a_b", "", "%", "%.%", "A%", "ü"]))
        return f"{name} {negated}{like} '{pattern}'"
    operator = draw(st.sampled_from(["=", "!=", "<>", "<", "<=", ">", ">="]))
    return f"{value} {operator} {name}" if draw(st.booleans()) else f"{name} {operator} {value}"


def joined(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pairs = st.tuples(inner, st.sampled_from(["and", "or"]), inner)
    return (
        pairs.map(" ".join) | inner.map("not ({})".format) | pairs.map(lambda p: f"({' '.join(p)})")
    )


CONDITIONS = st.recursive(comparisons() | st.sampled_from(["true", "false"]), joined, max_leaves=6)
ROWS = st.fixed_dictionaries(
    {
        name: VALUES[kind]
        if name in ("key", "path", "source", "size", "modified")
        else VALUES[kind] | st.none()
        for name, kind in ATTRIBUTES.items()
    }
)


@pytest.fixture(scope="module")
def engine() -> Any:
    connection = duckdb.connect()
    yield connection
    connection.close()


def by_duckdb(engine: Any, where: str, row: dict[str, Any]) -> int:
    columns = ", ".join(f"?::{TYPES[kind]} as {name}" for name, kind in ATTRIBUTES.items())
    values = [row[name] for name in ATTRIBUTES]
    values = [v.replace(tzinfo=None) if isinstance(v, datetime) else v for v in values]
    found = engine.execute(f"select ({where}) from (select {columns})", values).fetchone()[0]
    return {True: TRUE, False: FALSE, None: NULL}[found]


@settings(max_examples=300, deadline=None)
@given(where=CONDITIONS, row=ROWS)
def test_a_condition_means_what_duckdb_says(engine: Any, where: str, row: dict[str, Any]) -> None:
    assert parse_condition(where)(row) == by_duckdb(engine, where, row)


@settings(max_examples=300, deadline=None)
@given(CONDITIONS, ROWS)
def test_what_an_unread_file_may_answer_holds_what_it_answers(
    where: str, row: dict[str, Any]
) -> None:
    condition = parse_condition(where)
    assert condition({**row, **dict.fromkeys(FACTS, UNREAD)}) & condition(row)


@pytest.mark.parametrize(
    ("where", "answers"),
    [
        ("width > 640", TRUE | FALSE | NULL),
        ("width > 640 and size > 5", FALSE),  # the size says no, whatever the width
        ("width > 640 or size < 5", TRUE),
        ("not (width > 640) and size > 5", FALSE),
        ("width is null", TRUE | FALSE),
        ("width > null", NULL),
        ("width in (1, 2) and true", TRUE | FALSE | NULL),
        ("mime ilike 'image/%' and path like 'a%'", FALSE),
    ],
)
def test_an_unread_file_is_decided_where_the_rest_decides(where: str, answers: int) -> None:
    row = {"size": 1, "path": "b", **dict.fromkeys(FACTS, UNREAD)}
    assert parse_condition(where)(row) == answers


def test_times_are_read_as_dates_and_as_utc() -> None:
    row = {"modified": DAY + timedelta(hours=3)}
    for where in (
        "modified > '2026-01-01'",
        "modified >= timestamp '2026-01-01 03:00:00'",
        "modified < date '2026-01-02'",
        "modified between '2026-01-01' and '2026-01-01T05:00:00+02:00'",
    ):
        assert parse_condition(where)(row) == TRUE, where


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ("bitrate > 5", "bitrate is no attribute of a file"),
        ("annotations.class = 'car'", "no attribute"),
        ("lower(path) = 'a'", "no value that rules know"),
        ("read_text('/etc/passwd') = 'a'", "no value that rules know"),
        ("width > '640'", "compares number with text"),
        ("mime = 5", "compares text with number"),
        ("modified > 'yesterday'", "no time like '2026-01-31'"),
        ('mime = "image/png"', "'text' in single quotes"),
        ("path like source", "wants a pattern in quotes"),
        ("path like 'a!%' escape '!'", "no condition that rules know"),
        ("width like '6%'", "wants text"),
        ("size in (select 1)", "no condition that rules know"),
        ("size in (width, 1)", "a list of values"),
        ("size between symmetric 5 and 1", "no condition that rules know"),
        ("width is distinct from 5", "no condition that rules know"),
        ("size = 1; drop table media", "no condition that rules know"),
        ("select 1", "no condition that rules know"),
        ("path", "no condition that rules know"),
        ("width >", "is not SQL that can be read"),
        ("width * height > 5", "no value that rules know"),
        ("size = (case when true then 1 end)", "no value that rules know"),
        ("", "is not SQL that can be read"),
    ],
)
def test_what_rules_do_not_know_is_refused_by_name(where: str, says: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_condition(where)
    assert says in str(caught.value)
    assert repr(where) in str(caught.value)
