"""``where`` across tables means what its docstring says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from trainset.errors import InputError
from trainset.tables import where as where_module
from trainset.tables.base import Table, TableLocation
from trainset.tables.lance_store import LanceTableStore
from trainset.tables.where import resolve_where

MEDIA = [
    {"row_id": "a", "width": 100, "class": "own"},
    {"row_id": "b", "width": 200, "class": None},
    {"row_id": "c", "width": 300, "class": None},
    {"row_id": "d", "width": 400, "class": None},
]
LABELS = [
    {"row_id": "1", "media_id": "a", "class": "car", "score": 0.9, "text": None},
    {"row_id": "2", "media_id": "a", "class": "bus", "score": 0.2, "text": "it's"},
    {"row_id": "3", "media_id": "b", "class": "car", "score": 0.3, "text": None},
    {"row_id": "4", "media_id": "c", "class": "bus", "score": 0.9, "text": None},
    {"row_id": "5", "media_id": None, "class": "car", "score": 0.9, "text": "orphan"},
]

Find = Callable[..., list[str]]


@pytest.fixture
def open_table(tmp_path: Path) -> Callable[[str], Table]:
    for name, rows in (("media", MEDIA), ("annotations", LABELS)):
        data = pa.Table.from_pylist(rows)
        table = LanceTableStore().create(TableLocation(str(tmp_path / name)), data.schema)
        table.upsert(data)
    return lambda name: LanceTableStore().open(TableLocation(str(tmp_path / name)))


@pytest.fixture
def find(open_table: Callable[[str], Table]) -> Find:
    def ids(where: str, table: str = "media") -> list[str]:
        names = ["annotations", "media"]
        sql = resolve_where(where, table=table, names=names, open_table=open_table)
        found = open_table(table).scan(["row_id"], where=sql).read_all()
        return sorted(found["row_id"].to_pylist())

    return ids


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("annotations.class = 'car'", "ab"),
        ("`annotations`.`class` = 'car'", "ab"),
        ("annotations.class = 'car' and width > 150", "b"),
        ("width > 150 and (annotations.class = 'car' or width = 400)", "bd"),
        # one label must fit all conditions on labels
        ("annotations.class = 'bus' and annotations.score > 0.5", "c"),
        ("annotations.class = 'bus' and width > 0 and annotations.score > 0.5", "c"),
        ("annotations.class = 'car' or annotations.score > 0.5", "abc"),
        ("annotations.class in ('car', 'bus')", "abc"),
        # an operator that negates asks for some row, an outer not for no row
        ("annotations.class != 'car'", "ac"),
        ("annotations.class not in ('car')", "ac"),
        ("annotations.class not like 'c%'", "ac"),
        ("not annotations.class = 'car'", "cd"),
        ("not (annotations.class in ('car'))", "cd"),
        ("not annotations.class in ('car')", "cd"),
        ("not (annotations.class = 'car' and annotations.score > 0.5)", "bcd"),
        ("annotations.class = 'bus' and not annotations.class = 'car'", "c"),
        ("annotations.text is not null", "a"),
        ("annotations.text = 'it''s'", "a"),
        ("annotations.class = 'none of these'", ""),
        ("not annotations.class = 'none of these'", "abcd"),
        ("regexp_like(annotations.class, '^c')", "ab"),
        ("media.width > 250 and annotations.class = 'bus'", "c"),
        ("media.width > 250", "cd"),
        ("class = 'own'", "a"),
        ("width between 150 and 350 and annotations.score between 0.1 and 0.5", "b"),
    ],
)
def test_where_finds(find: Find, where: str, expected: str) -> None:
    assert "".join(find(where)) == expected


def test_many_ids_are_asked_by_the_smaller_side(
    find: Find, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(where_module, "_MANY", 1)
    assert find("annotations.class in ('car', 'bus')") == ["a", "b", "c"]
    assert find("not (annotations.class in ('car', 'bus'))") == ["d"]
    assert find("annotations.score > 0 or annotations.class = 'x'") == ["a", "b", "c"]


def test_labels_are_asked_by_their_media(find: Find) -> None:
    assert find("media.width >= 200", "annotations") == ["3", "4"]
    assert find("not media.width >= 200", "annotations") == ["1", "2", "5"]
    assert find("class = 'car' and media.width = 100", "annotations") == ["1"]


def test_a_where_of_one_table_is_left_as_it_is() -> None:
    def never(name: str) -> Table:
        raise AssertionError(name)

    for where in ("width > 3", "regexp_like(key, 'annotations.x') AND a.b=1"):
        assert resolve_where(where, table="media", names=["annotations"], open_table=never) == where


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("annotations.nope = 1", "columns are row_id, media_id, class, score, text"),
        ("annotations.score > width", "annotations and media; compare each table with values"),
        ("annotations.class = = 'car'", "is not a SQL expression"),
    ],
)
def test_a_bad_where_says_what_is_wrong(find: Find, where: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        find(where)
