"""Syncing tables: every mode, every policy, and after any history the rows of the source."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from services.memory_tables import MemoryTable, MemoryTables

from trainset.errors import InputError
from trainset.home import open_home
from trainset.metadata.store import load_records, load_rejected, read_manifest
from trainset.metadata.tables import parts as table_parts
from trainset.metadata.tables.contract import ContractBroken
from trainset.metadata.tables.rows import load_rows
from trainset.metadata.tables.sync import TableSync, sync_table
from trainset.spec_metadata import MetadataSource
from trainset.versions.base import VersionStore, Workspace

NOW = datetime(2026, 11, 1, tzinfo=UTC)
COLUMNS = pa.schema([("id", pa.int64()), ("name", pa.string()), ("n", pa.int64())])


@pytest.fixture
def versions(tmp_path: Path) -> VersionStore:
    return open_home(str(tmp_path / "home"), create=True).versions


@pytest.fixture
def reader() -> MemoryTables:
    table = MemoryTable(COLUMNS)
    for i in range(100):
        table.put(id=i, name=f"row {i}", n=i)
    return MemoryTables(t=table)


def _source(**options: Any) -> MetadataSource:
    return MetadataSource.model_validate(
        {"name": "db", "from": "sqlite:///x.db", "tables": ["t"], **options}
    )


def _sync(
    workspace: Workspace,
    reader: MemoryTables,
    sync_id: str | None = None,
    chunks: Path | None = None,
    **options: Any,
) -> TableSync:
    source = _source(**options)
    return sync_table(
        reader,
        "t",
        source,
        workspace,
        sync_id=sync_id or workspace.run_id,
        now=NOW,
        salt=b"pepper",
        chunks=chunks,
    )


def _rows(files: Any) -> list[dict[str, Any]]:
    return load_rows(files, "db", "t").to_pylist()


def _plain(files: Any) -> list[dict[str, Any]]:
    rows = [{k: v for k, v in row.items() if not k.startswith("_")} for row in _rows(files)]
    return sorted(rows, key=lambda r: str(r))


def _of_source(reader: MemoryTables) -> list[dict[str, Any]]:
    table = reader.tables["t"]
    return sorted(table.table(list(table.rows.values())).to_pylist(), key=lambda r: str(r))


def _run(versions: VersionStore, run_id: str, reader: MemoryTables, **options: Any) -> bool:
    """One sync in a run of its own; whether it made a commit."""
    workspace = versions.begin(run_id)
    _sync(workspace, reader, **options)
    if workspace.commit(run_id, {}) is None:
        workspace.discard()
        return False
    workspace.merge()
    return True


def test_a_sync_with_nothing_changed_writes_nothing_and_reads_nothing(
    versions: VersionStore, reader: MemoryTables
) -> None:
    assert _run(versions, "r1", reader)
    assert _plain(versions.snapshot("main")) == _of_source(reader)
    reader.rows_read = 0
    assert not _run(versions, "r2", reader, deletes="detect")
    assert reader.rows_read == 0


def test_when_nothing_came_the_stored_rows_are_not_fetched(
    versions: VersionStore, reader: MemoryTables
) -> None:
    _run(versions, "r1", reader)
    snapshot = versions.snapshot("main")
    parts = [p for p in snapshot.list("meta/db/t/") if p.endswith(".parquet")]
    assert parts
    for path in parts:  # so that fetching one would fail; of a bucket, it would be a download
        snapshot.fetch(path).unlink()
    assert not _run(versions, "r2", reader, deletes="ignore")


def test_updates_inserts_and_hard_deletes_arrive_and_only_changes_are_read(
    versions: VersionStore, reader: MemoryTables
) -> None:
    _run(versions, "r1", reader, deletes="detect")
    table = reader.tables["t"]
    table.put(id=5, name="new name", n=5)
    table.put(id=100, name="one more", n=1)
    table.delete(7)
    reader.rows_read = 0
    workspace = versions.begin("r2")
    report = _sync(workspace, reader, deletes="detect")
    assert reader.rows_read == 2
    counts = report.counts
    assert (counts.added, counts.changed, counts.deleted) == (1, 1, 1)
    assert _plain(workspace) == _of_source(reader)


def test_rows_that_come_again_unchanged_are_not_written(
    versions: VersionStore, reader: MemoryTables
) -> None:
    table = reader.tables["t"]
    table.schema = pa.schema([f for f in table.schema if f.name != "seq"])
    _run(versions, "r1", reader, mode="incremental-upsert")
    before = read_manifest(versions.snapshot("main"), "db", "t")
    table.put(id=5, name="row 5", n=5)  # touched, not changed
    assert _run(versions, "r2", reader, mode="incremental-upsert"), "the state moves"
    assert read_manifest(versions.snapshot("main"), "db", "t") == before, "and no row does"
    assert not _run(versions, "r3", reader, mode="incremental-upsert")


@pytest.mark.parametrize("mode", ["full-overwrite", "full-append", "incremental-append"])
def test_what_each_mode_keeps(versions: VersionStore, reader: MemoryTables, mode: str) -> None:
    _run(versions, "r1", reader, mode=mode)
    reader.tables["t"].put(id=5, name="changed", n=5)
    reader.tables["t"].delete(7)
    workspace = versions.begin("r2")
    _sync(workspace, reader, mode=mode)
    _sync(workspace, reader, mode=mode)  # a retry of the same sync adds nothing
    found = len(_rows(workspace))
    assert found == {"full-overwrite": 99, "full-append": 199, "incremental-append": 101}[mode]
    if mode == "full-overwrite":
        assert _plain(workspace) == _of_source(reader)
        workspace.commit("r2", {})
        workspace.merge()
        assert not _run(versions, "r3", reader, mode=mode)


def test_the_guard_refuses_when_too_many_rows_vanish_and_says_how_to_go_on(
    versions: VersionStore, reader: MemoryTables
) -> None:
    _run(versions, "r1", reader, deletes="detect")
    for i in range(30):
        reader.tables["t"].delete(i)
    workspace = versions.begin("r2")
    with pytest.raises(ContractBroken, match="max_deleted"):
        _sync(workspace, reader, deletes="detect")
    assert workspace.commit("r2", {}) is None
    _sync(workspace, reader, deletes="detect", max_deleted="100%")
    assert _plain(workspace) == _of_source(reader)


def test_a_new_column_is_added_and_a_removed_one_stays_null(
    versions: VersionStore, reader: MemoryTables
) -> None:
    _run(versions, "r1", reader)
    table = reader.tables["t"]
    table.retype("extra", pa.string())
    table.retype("n", None)
    table.put(id=5, name="x", extra="here")
    workspace = versions.begin("r2")
    report = _sync(workspace, reader)
    assert report.evolution is not None
    assert (report.evolution.added, report.evolution.removed) == (("extra",), ("n",))
    by_id = {row["id"]: row for row in _rows(workspace)}
    assert (by_id[5]["extra"], by_id[5]["n"]) == ("here", None)
    assert (by_id[6]["extra"], by_id[6]["n"]) == (None, 6)


def test_a_value_that_does_not_fit_is_nulled_alone_and_kept_with_its_original(
    versions: VersionStore, reader: MemoryTables
) -> None:
    _run(versions, "r1", reader)
    table = reader.tables["t"]
    table.retype("n", pa.string())
    table.put(id=5, name="bad", n="five")
    table.put(id=6, name="good", n="66")
    assert _run(versions, "r2", reader)
    main = versions.snapshot("main")
    by_id = {row["id"]: row for row in _rows(main)}
    assert (by_id[5]["n"], by_id[5]["name"], by_id[6]["n"]) == (None, "bad", 66)
    assert by_id[5]["_meta"]["changes"][0]["field"] == "n"
    assert by_id[6]["_meta"] is None
    (item,) = load_rejected(main, "db", "t")
    assert (item.record, item.kind, item.original) == ("id=5", "type-mismatch", '"five"')
    table.put(id=5, name="mended", n="55")
    assert _run(versions, "r3", reader)
    assert load_rejected(versions.snapshot("main"), "db", "t") == []


def test_widen_makes_text_of_old_rows_too(versions: VersionStore, reader: MemoryTables) -> None:
    _run(versions, "r1", reader)
    reader.tables["t"].retype("n", pa.string())
    reader.tables["t"].put(id=5, name="x", n="five")
    workspace = versions.begin("r2")
    _sync(workspace, reader, contract="widen")
    assert _plain(workspace) == _of_source(reader)
    manifest = read_manifest(workspace, "db", "t")
    assert manifest is not None
    for file in manifest.files:  # no folder of mixed types
        schema = pq.read_schema(workspace.fetch("meta/db/t/" + file.path))
        assert schema.field("n").type == pa.string()


def test_freeze_and_lost_columns_fail_before_anything_is_written(
    versions: VersionStore, reader: MemoryTables
) -> None:
    _run(versions, "r1", reader)
    table = reader.tables["t"]
    table.put(id=5, name="x", n=1)
    table.retype("extra", pa.string())
    workspace = versions.begin("r2")
    with pytest.raises(ContractBroken, match="frozen"):
        _sync(workspace, reader, contract="freeze")
    table.key = ()
    with pytest.raises(ContractBroken, match="key"):
        _sync(workspace, reader)
    table.key = ("id",)
    with pytest.raises(ContractBroken, match="cursor"):
        _sync(workspace, reader, cursor="updated_at")
    assert workspace.commit("r2", {}) is None


def test_too_many_bad_values_fail_the_sync(versions: VersionStore, reader: MemoryTables) -> None:
    _run(versions, "r1", reader)
    table = reader.tables["t"]
    table.retype("n", pa.string())
    for i in range(20):
        table.put(id=i, name="x", n="bad")
    workspace = versions.begin("r2")
    with pytest.raises(ContractBroken, match="max_quarantined"):
        _sync(workspace, reader)
    assert workspace.commit("r2", {}) is None


def test_rows_without_a_key_are_quarantined(versions: VersionStore, reader: MemoryTables) -> None:
    reader.tables["t"].put(id=None, name="nobody", n=1)
    workspace = versions.begin("r1")
    report = _sync(workspace, reader)
    assert len(_rows(workspace)) == 100
    assert [item.kind for item in report.rejected] == ["no-key"]
    assert "nobody" in report.rejected[0].original


def test_mappings_drop_rename_hash_and_filter(versions: VersionStore, reader: MemoryTables) -> None:
    options = {
        "columns": {"n": {"drop": True}, "name": {"hash": True}, "id": {"rename": "number"}},
        "where": "n < 50",
        "deletes": "detect",
    }
    _run(versions, "r1", reader, **options)
    reader.tables["t"].put(id=5, name="row 5", n=99)  # does not fit any more: it leaves
    reader.tables["t"].delete(6)
    workspace = versions.begin("r2")
    _sync(workspace, reader, **options)
    rows = _rows(workspace)
    assert sorted(row["number"] for row in rows) == [i for i in range(50) if i not in (5, 6)]
    assert "n" not in rows[0]
    assert all(len(row["name"]) == 32 for row in rows)
    assert len({row["name"] for row in rows}) == 48


def test_a_killed_first_read_goes_on_where_it_was(
    versions: VersionStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(table_parts, "PART_ROWS", 40)
    table = MemoryTable(COLUMNS, batch_rows=20)
    for i in range(200):
        table.put(id=i, name="x", n=i)
    reader = MemoryTables(t=table)
    reader.dies_after = 7
    with pytest.raises(KeyboardInterrupt):
        _sync(versions.begin("r1"), reader, chunks=tmp_path / "chunks")
    versions.begin("r1").discard()
    reader.dies_after, read = None, reader.rows_read
    table.put(id=3, name="changed meanwhile", n=3)
    table.delete(4)
    workspace = versions.begin("r2")
    _sync(workspace, reader, chunks=tmp_path / "chunks", deletes="ignore")
    assert read == 140
    assert reader.rows_read - read == 80 + 1, "two parts of three batches were there"
    assert _plain(workspace) == _of_source(reader)
    assert not (tmp_path / "chunks").exists()


@pytest.mark.parametrize("what", ["part", "options"])
def test_what_a_killed_read_left_is_not_used_when_it_does_not_fit(
    versions: VersionStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, what: str
) -> None:
    monkeypatch.setattr(table_parts, "PART_ROWS", 40)
    table = MemoryTable(COLUMNS, batch_rows=20)
    for i in range(100):
        table.put(id=i, name="x", n=i)
    reader = MemoryTables(t=table)
    reader.dies_after = 4
    with pytest.raises(KeyboardInterrupt):
        _sync(versions.begin("r1"), reader, chunks=tmp_path / "chunks")
    reader.dies_after, reader.rows_read = None, 0
    part = next((tmp_path / "chunks").glob("*.parquet"))
    options: dict[str, Any] = {"columns": {"n": {"rename": "m"}}} if what == "options" else {}
    if what == "part":
        part.write_bytes(part.read_bytes()[:-1] + b"?")
    workspace = versions.begin("r2")
    _sync(workspace, reader, chunks=tmp_path / "chunks", **options)
    assert reader.rows_read == 100
    assert len(_rows(workspace)) == 100


def test_after_a_rollback_the_next_sync_brings_the_rows_again(
    versions: VersionStore, reader: MemoryTables
) -> None:
    _run(versions, "r1", reader)
    first = versions.head()
    assert first is not None
    reader.tables["t"].put(id=200, name="late", n=1)
    _run(versions, "r2", reader)
    versions.rollback(first.id)
    assert len(_rows(versions.snapshot("main"))) == 100
    assert _run(versions, "r3", reader)
    assert _plain(versions.snapshot("main")) == _of_source(reader)


def test_rows_that_name_media_are_label_records(versions: VersionStore) -> None:
    columns = pa.schema([("id", pa.int64()), ("file_name", pa.string()), ("label", pa.string())])
    table = MemoryTable(columns)
    table.put(id=1, file_name="a.jpg", label="cat")
    table.put(id=2, file_name="b.jpg", label="dog")
    workspace = versions.begin("r1")
    _sync(workspace, MemoryTables(t=table))
    records = load_records(workspace).to_pylist()
    assert [(r["record_id"], r["media_ref"], r["class"]) for r in records] == [
        ("1", "a.jpg", "cat"),
        ("2", "b.jpg", "dog"),
    ]


def test_a_hash_without_salt_and_an_unfit_filter_say_what_to_do(
    versions: VersionStore, reader: MemoryTables
) -> None:
    workspace = versions.begin("r1")
    source = _source(columns={"name": {"hash": True}})
    with pytest.raises(InputError, match="TRAINSET_HASH_SALT"):
        sync_table(reader, "t", source, workspace, sync_id="r1", now=NOW)
    with pytest.raises(InputError, match="the columns are id, name"):
        _sync(workspace, reader, where="nosuch > 1")


STEP = st.one_of(
    st.tuples(st.just("put"), st.integers(0, 6), st.sampled_from(["x", "y", None])),
    st.tuples(st.just("delete"), st.integers(0, 6), st.none()),
    st.tuples(st.just("text"), st.none(), st.none()),
    st.tuples(st.just("column"), st.none(), st.none()),
    st.tuples(st.just("sync"), st.none(), st.none()),
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(STEP, max_size=25), st.sampled_from(["incremental-upsert", "full-overwrite"]))
def test_after_any_history_the_table_is_the_source(
    tmp_path: Path, steps: list[tuple[str, Any, Any]], mode: str
) -> None:
    home = open_home(str(tmp_path / os.urandom(8).hex()), create=True)
    workspace = home.versions.begin("r1")
    table = MemoryTable(COLUMNS, batch_rows=2)
    reader = MemoryTables(t=table)
    options: dict[str, Any] = {"mode": mode, "contract": "widen", "max_deleted": "100%"}
    if mode == "incremental-upsert":
        options["deletes"] = "detect"
    for n, (what, key, value) in enumerate([*steps, ("sync", None, None)]):
        if what == "put":
            is_text = table.schema.field("n").type == pa.string()
            table.put(id=key, name=value, n=str(n) if is_text else n, extra=value)
        elif what == "delete" and (key,) in table.rows:
            table.delete(key)
        elif what == "text":
            table.retype("n", pa.string())
        elif what == "column" and "extra" not in table.schema.names:
            for row in table.rows.values():
                row["extra"] = None  # a source sets no cursor when it adds a column
            table.retype("extra", pa.string())
        elif what == "sync":
            _sync(workspace, reader, sync_id=f"s{n}", **options)
            assert _plain(workspace) == _of_source(reader)
