"""The TableStore contract; every implementation joins ``STORES``."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow as pa
import pytest

from trainset.errors import ConflictError, InputError, NotFound
from trainset.tables.base import TableLocation, TableStore
from trainset.tables.lance_store import LanceTable, LanceTableStore

STORES = {"lance": LanceTableStore}
VECTOR = pa.list_(pa.float16(), 2)
SCHEMA = pa.schema(
    [
        pa.field("row_id", pa.string(), nullable=False),
        pa.field("x", pa.int64()),
        pa.field("class", pa.string()),
        pa.field("row_fp", pa.uint64()),
    ]
)


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest) -> TableStore:
    return STORES[request.param]()


@pytest.fixture
def at(tmp_path: Path) -> TableLocation:
    return TableLocation(str(tmp_path / "tables" / "media"))


def rows(*values: tuple[str, int, str | None], fp: int = 0) -> pa.Table:
    data = [{"row_id": r, "x": x, "class": c, "row_fp": x + fp} for r, x, c in values]
    return pa.Table.from_pylist(data, schema=SCHEMA)


def content(table: LanceTable) -> dict[str, dict[str, object]]:
    return {row["row_id"]: row for row in table.scan().read_all().to_pylist()}


def test_open_of_a_missing_table_is_not_found(store: TableStore, at: TableLocation) -> None:
    assert not store.exists(at)
    with pytest.raises(NotFound, match="no table"):
        store.open(at)


def test_a_created_table_is_empty_and_opens(store: TableStore, at: TableLocation) -> None:
    store.create(at, SCHEMA)
    assert store.exists(at)
    table = store.open(at)
    assert table.count() == 0
    assert table.schema == SCHEMA
    with pytest.raises(InputError):
        store.create(at, SCHEMA)


def test_upsert_counts_and_keeps_versions(store: TableStore, at: TableLocation) -> None:
    table = store.create(at, SCHEMA)
    first = table.upsert(rows(("a", 1, "car"), ("b", 2, None)))
    assert (first.inserted, first.updated, first.unchanged) == (2, 0, 0)
    pinned = table.version
    second = table.upsert(rows(("a", 1, "car"), ("b", 3, "bus"), ("c", 4, "cat")))
    assert (second.inserted, second.updated, second.unchanged) == (1, 1, 1)
    assert table.count() == 3
    assert table.count("class = 'bus'") == 1
    old = store.open(TableLocation(at.uri, version=pinned))
    assert content(old)["b"]["class"] is None


def test_an_equal_upsert_writes_no_version(store: TableStore, at: TableLocation) -> None:
    table = store.create(at, SCHEMA)
    table.upsert(rows(("a", 1, "car")))
    version = table.version
    counts = table.upsert(rows(("a", 1, "this text is not looked at: row_fp is the same")))
    assert counts.unchanged == 1
    assert table.version == version
    assert table.delete("x = 99") == 0
    table.add_columns([SCHEMA.field("class")])
    table.commit_fills([])
    assert store.open(at).version == version


def test_a_partial_upsert_keeps_other_columns_and_empties_named_ones(
    store: TableStore, at: TableLocation
) -> None:
    table = store.create(at, SCHEMA)
    table.upsert(rows(("a", 1, "car"), ("b", 2, "bus")))
    table.add_columns([pa.field("c", pa.string()), pa.field("d", pa.string())])
    for fragment in table.fragments():
        ids = table.read_fragment(fragment, ["row_id"])["row_id"]
        cells = pa.table({"row_id": ids, "c": ["C"] * len(ids), "d": ["D"] * len(ids)})
        table.commit_fills([table.stage_fill(fragment, cells)])
    part = pa.table({"row_id": ["a"], "x": [9], "row_fp": pa.array([9], pa.uint64())})
    table.upsert(part, empty=["c"])
    got = content(table)
    assert got["a"] == {"row_id": "a", "x": 9, "class": "car", "row_fp": 9, "c": None, "d": "D"}
    assert got["b"]["c"] == "C"


def test_bad_rows_are_refused_by_name(store: TableStore, at: TableLocation) -> None:
    table = store.create(at, SCHEMA)
    with pytest.raises(InputError, match="'a' comes twice"):
        table.upsert(rows(("a", 1, None), ("a", 2, None)))
    with pytest.raises(InputError, match=r"'nope'.*the columns are row_id, x"):
        table.upsert(pa.table({"row_id": ["a"], "nope": [1]}))
    with pytest.raises(InputError, match="do not fit"):
        table.upsert(pa.table({"row_id": ["a"], "x": ["word"]}))
    assert table.count() == 0


@pytest.mark.parametrize("where", ["nope = 1", "x = = 1", "x.y = 1"])
def test_a_bad_where_lists_the_columns(store: TableStore, at: TableLocation, where: str) -> None:
    table = store.create(at, SCHEMA)
    table.upsert(rows(("a", 1, "car")))
    for call in (table.count, table.delete, lambda w: table.scan(where=w).read_all()):
        with pytest.raises(InputError, match="the columns are row_id, x, class"):
            call(where)


def test_scan_projects_filters_and_limits(store: TableStore, at: TableLocation) -> None:
    table = store.create(at, SCHEMA)
    table.upsert(rows(*[(f"r{i}", i, "car") for i in range(10)]))
    got = table.scan(["x"], where="x >= 4", limit=3).read_all()
    assert got.column_names == ["x"]
    assert got.num_rows == 3
    assert min(got["x"].to_pylist()) >= 4


def test_a_pinned_table_refuses_to_be_written(store: TableStore, at: TableLocation) -> None:
    table = store.create(at, SCHEMA)
    pinned = store.open(TableLocation(at.uri, version=table.version))
    for write in (
        lambda: pinned.upsert(rows(("a", 1, None))),
        lambda: pinned.delete("x = 1"),
        lambda: pinned.add_columns([pa.field("c", pa.string())]),
        lambda: pinned.restore(1),
    ):
        with pytest.raises(InputError, match="read only"):
            write()


def test_add_columns_refuses_another_type(store: TableStore, at: TableLocation) -> None:
    table = store.create(at, SCHEMA)
    table.add_columns([pa.field("v", VECTOR)])
    assert table.schema.field("v").type == VECTOR
    with pytest.raises(InputError, match="exists as int64"):
        table.add_columns([pa.field("x", pa.string())])


def test_restore_brings_rows_back_under_a_new_version(store: TableStore, at: TableLocation) -> None:
    table = store.create(at, SCHEMA)
    table.upsert(rows(("a", 1, "car")))
    good = table.version
    table.upsert(rows(("a", 2, "bus"), ("b", 3, "cat")))
    bad = table.version
    table.restore(good)
    assert table.version > bad
    assert list(content(table)) == ["a"]
    table.upsert(rows(("b", 4, "dog")))
    assert sorted(content(table)) == ["a", "b"]


def staged(table: LanceTable, fragment: int, share: float, value: str) -> tuple[str, set[str]]:
    ids = table.read_fragment(fragment, ["row_id"])["row_id"].to_pylist()
    ids = sorted(ids)[: max(1, int(len(ids) * share))]
    return table.stage_fill(fragment, pa.table({"row_id": ids, "c": [value] * len(ids)})), set(ids)


@pytest.mark.parametrize("share", [0.1, 1.0])
def test_fills_staged_at_an_old_version_survive_concurrent_writes(
    store: TableStore, at: TableLocation, share: float
) -> None:
    table = store.create(at, SCHEMA)
    table.upsert(rows(*[(f"a{i:02}", i, "car") for i in range(20)]))
    table.upsert(rows(*[(f"b{i:02}", i, "car") for i in range(20)]))
    table.add_columns([pa.field("c", pa.string())])
    old = store.open(TableLocation(at.uri, version=table.version))
    fills = [staged(old, fragment, share, "filled") for fragment in old.fragments()]
    table.upsert(rows(("new", 1, "bus")))
    table.upsert(rows(("a00", 77, "changed")), empty=["c"])
    table.delete("row_id = 'b00'")
    version = table.version
    table.commit_fills([token for token, _ in fills])
    assert table.version == version + 1
    got = content(table)
    assert len(got) == 40
    assert got["new"]["c"] is None
    assert got["a00"]["x"] == 77
    for _, ids in fills:
        for id_ in ids - {"a00", "b00"}:
            assert got[id_]["c"] == "filled"
            assert got[id_]["class"] == "car"
    unfilled = set(got) - set.union(*[ids for _, ids in fills])
    assert all(got[id_]["c"] is None for id_ in unfilled)


def test_two_columns_filled_apart_are_both_kept(store: TableStore, at: TableLocation) -> None:
    table = store.create(at, SCHEMA)
    table.upsert(rows(("a", 1, "car"), ("b", 2, "bus")))
    table.add_columns([pa.field("c", pa.string()), pa.field("d", pa.int64())])
    [fragment] = table.fragments()
    one = table.stage_fill(fragment, pa.table({"row_id": ["a", "b"], "c": ["A", "B"]}))
    two = table.stage_fill(fragment, pa.table({"row_id": ["b", "a"], "d": [20, 10]}))
    table.commit_fills([one, two])
    assert {r: (v["c"], v["d"]) for r, v in content(table).items()} == {
        "a": ("A", 10),
        "b": ("B", 20),
    }


def test_a_fill_committed_twice_changes_nothing(store: TableStore, at: TableLocation) -> None:
    table = store.create(at, SCHEMA)
    table.upsert(rows(("a", 1, "car"), ("b", 2, "bus")))
    table.add_columns([pa.field("c", pa.string())])
    token, _ = staged(table, table.fragments()[0], 1.0, "x")
    table.commit_fills([token])
    version = table.version
    table.commit_fills([token])
    assert table.version == version


def test_a_fill_over_a_newer_fill_is_refused_not_lost(store: TableStore, at: TableLocation) -> None:
    table = store.create(at, SCHEMA)
    table.upsert(rows(*[(f"r{i}", i, "car") for i in range(4)]))
    table.add_columns([pa.field("c", pa.string())])
    [fragment] = table.fragments()
    first = table.stage_fill(fragment, pa.table({"row_id": ["r0", "r1"], "c": ["1", "1"]}))
    second = table.stage_fill(fragment, pa.table({"row_id": ["r2", "r3"], "c": ["2", "2"]}))
    with pytest.raises(ConflictError, match="compute this fragment again"):
        table.commit_fills([first, second])
    assert all(row["c"] is None for row in content(table).values())
    table.commit_fills([first])
    with pytest.raises(ConflictError, match="filled by someone else"):
        table.commit_fills([second])
    again = table.stage_fill(fragment, pa.table({"row_id": ["r2", "r3"], "c": ["2", "2"]}))
    table.commit_fills([again])
    assert [r["c"] for _, r in sorted(content(table).items())] == ["1", "1", "2", "2"]


def test_a_fill_of_a_row_elsewhere_is_refused(store: TableStore, at: TableLocation) -> None:
    table = store.create(at, SCHEMA)
    table.upsert(rows(("a", 1, "car")))
    with pytest.raises(InputError, match="'zz' is not in fragment"):
        table.stage_fill(table.fragments()[0], pa.table({"row_id": ["zz"], "x": [1]}))


def test_files_are_enough_to_read_and_write_the_version(
    store: TableStore, at: TableLocation, tmp_path: Path
) -> None:
    table = store.create(at, SCHEMA)
    table.upsert(rows(*[(f"r{i}", i, "car") for i in range(20)]))
    table.add_columns([pa.field("c", pa.string())])
    for share in (0.1, 1.0):
        table.commit_fills([staged(table, table.fragments()[0], share, "v")[0]])
    table.delete("x < 3")
    before = content(table)
    pinned = store.open(TableLocation(at.uri, version=table.version))
    table.upsert(rows(("later", 1, None)))
    files = pinned.files()
    assert not any("_transactions" in f or "hint" in f or "_staging" in f for f in files)
    assert len([f for f in files if f.startswith("_versions/")]) == 1
    copy = tmp_path / "copy"
    for file in files:
        (copy / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(Path(at.uri) / file, copy / file)
    opened = store.open(TableLocation(str(copy), version=pinned.version))
    assert content(opened) == before
    assert opened.files() == files
    written = store.open(TableLocation(str(copy)))
    written.upsert(rows(("more", 5, "cat")))
    assert written.version == pinned.version + 1
    assert written.count() == len(before) + 1


def test_rows_are_taken_by_id_and_those_that_are_not_there_are_left_out(
    store: TableStore, at: TableLocation
) -> None:
    table = store.create(at, SCHEMA)
    table.upsert(rows(*((str(n), n, None) for n in range(100))))
    table.delete("x = 3")
    found = table.take(pa.array(["5", "3", "99", "none"]), ["row_id", "x"]).read_all()
    assert sorted(found.to_pylist(), key=lambda r: r["x"]) == [
        {"row_id": "5", "x": 5},
        {"row_id": "99", "x": 99},
    ]
    assert table.take(pa.array([], pa.string())).read_all().num_rows == 0
    with pytest.raises(InputError, match="no column 'y'"):
        table.take(pa.array(["5"]), ["y"])


def test_versions_are_compared_without_the_rows_that_they_share(
    store: TableStore, at: TableLocation, tmp_path: Path
) -> None:
    old = store.create(at, SCHEMA)
    old.upsert(rows(*((str(n), n, None) for n in range(100))))
    shutil.copytree(at.uri, tmp_path / "copy")
    new = store.open(TableLocation(str(tmp_path / "copy")))
    new.upsert(rows(("7", 70, None), ("100", 100, None)))
    new.delete("x = 8")
    views = [view.read_all() for view in old.unlike([new], ["row_id", "row_fp", "class"])]
    found = [{(r["row_id"], r["row_fp"]) for r in view.to_pylist()} for view in views]
    assert {("7", 7), ("8", 8)} <= found[0]
    assert {("7", 70), ("100", 100)} <= found[1]
    shared = found[0] - {("7", 7), ("8", 8)}
    assert shared == found[1] - {("7", 70), ("100", 100)}
    if isinstance(old, LanceTable):
        assert shared == set()
    assert [view.read_all().num_rows for view in new.unlike([new], ["row_id"])] == [0, 0]
