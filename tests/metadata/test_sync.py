"""Syncing label files into a run's workspace: nothing lost, nothing written for nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trainset.errors import NotFound, TransientError
from trainset.home import open_home
from trainset.metadata import open_reader
from trainset.metadata.base import Batch, Reader, State, Stream
from trainset.metadata.files import FileReader
from trainset.metadata.recognise import SUPPORTED
from trainset.metadata.records import RECORDS
from trainset.metadata.store import label_uris, load_records, load_rejected, streams_of
from trainset.metadata.sync import SyncReport, drop_unlisted, left_out_of_sync, sync_source
from trainset.spec import MetadataSource
from trainset.stores.local import LocalStore
from trainset.versions.base import VersionStore, Workspace

NOW = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
def versions(tmp_path: Path) -> VersionStore:
    return open_home(str(tmp_path / "home"), create=True).versions


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    folder = tmp_path / "labels"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.csv").write_text("file_name,label\na.jpg,cat\nb.jpg,dog\n")
    (folder / "deep" / "b.jsonl").write_text('{"file": "c.jpg", "caption": "hello"}\n')
    return folder


def _source(place: Path, **options: Any) -> MetadataSource:
    return MetadataSource.model_validate({"name": "labels", "from": str(place), **options})


def _sync(workspace: Workspace, source: MetadataSource, reader: Reader | None = None) -> SyncReport:
    sync_id = workspace.run_id
    return sync_source(reader or open_reader(source), source, workspace, sync_id=sync_id, now=NOW)


def _run(versions: VersionStore, run_id: str, source: MetadataSource) -> tuple[SyncReport, bool]:
    """One sync in a run of its own; whether it made a commit."""
    workspace = versions.begin(run_id)
    report = _sync(workspace, source)
    if workspace.commit(run_id, {}) is None:
        workspace.discard()
        return report, False
    workspace.merge()
    return report, True


def _refs(versions: VersionStore) -> list[str]:
    return sorted(load_records(versions.snapshot("main"))["media_ref"].to_pylist())


class Counting(LocalStore):
    """A folder that notes which files are read, and can be told to break."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.whole: list[str] = []
        self.breaks = False

    def local_path(self, key: str) -> Path | None:  # type: ignore[override]
        return None  # as a bucket

    def uri(self, key: str) -> str:
        return f"{self.url}/{key}"

    def fetch_file(self, key: str, path: Path, *, durable: bool = True) -> None:
        self._note(key)
        path.write_bytes((self.root / key).read_bytes())

    def get(self, key: str, *, start: int = 0, length: int | None = None) -> bytes:
        if length is None:
            self._note(key)
        return super().get(key, start=start, length=length)

    def _note(self, key: str) -> None:
        self.whole.append(key)
        if self.breaks:
            raise TransientError("the network is gone; try again")


def test_rows_state_and_label_places_stand_in_one_commit(
    versions: VersionStore, labels: Path
) -> None:
    report, committed = _run(versions, "r1", _source(labels))
    assert committed
    assert (report.rows, report.new_rows, report.quarantined) == (3, 3, 0)
    main = versions.snapshot("main")
    records = load_records(main)
    assert records.schema.equals(RECORDS)
    assert sorted(records["media_ref"].to_pylist()) == ["a.jpg", "b.jpg", "c.jpg"]
    assert set(records["source"].to_pylist()) == {"labels"}
    assert streams_of(main, "labels") == ["a.csv", "deep__b.jsonl"]
    assert label_uris(main)["labels", "deep__b.jsonl"] == str(labels / "deep" / "b.jsonl")
    state = json.loads(main.read("meta/labels/a.csv/_state.json"))
    assert state["files"]["a.csv"]["size"] == (labels / "a.csv").stat().st_size


def test_a_second_sync_with_nothing_changed_writes_nothing(
    versions: VersionStore, labels: Path
) -> None:
    first, _ = _run(versions, "r1", _source(labels))
    again, committed = _run(versions, "r2", _source(labels))
    assert not committed
    assert not again.changed
    assert set(again.unchanged) == set(first.read)
    assert (again.rows, again.new_rows) == (3, 0)


def test_unchanged_files_are_not_read_and_touched_ones_are_not_written(
    versions: VersionStore, labels: Path
) -> None:
    _run(versions, "r1", _source(labels))
    store = Counting(labels)
    workspace = versions.begin("r2")
    _sync(workspace, _source(labels), FileReader("labels", store))
    assert store.whole == []
    os.utime(labels / "a.csv", (1, 1))
    report = _sync(workspace, _source(labels), FileReader("labels", store))
    assert store.whole == ["a.csv"]
    assert not report.changed
    assert workspace.commit("x", {}) is None


def test_a_changed_file_replaces_its_own_stream_only(versions: VersionStore, labels: Path) -> None:
    _run(versions, "r1", _source(labels))
    (labels / "a.csv").write_text("file_name,label\nz.jpg,cat\n")
    report, _ = _run(versions, "r2", _source(labels))
    assert (report.read, report.unchanged) == (("a.csv",), ("deep__b.jsonl",))
    assert _refs(versions) == ["c.jpg", "z.jpg"]
    parts = [p for p in versions.snapshot("main").list("meta/labels/a.csv/") if "part-" in p]
    assert len(parts) == 1
    assert "part-r2-" in parts[0]


def test_another_media_column_is_another_reading(versions: VersionStore, labels: Path) -> None:
    _run(versions, "r1", _source(labels / "a.csv"))
    report, _ = _run(versions, "r2", _source(labels / "a.csv", media_column="label"))
    assert report.read == ("a.csv",)
    assert _refs(versions) == ["cat", "dog"]


def test_a_vanished_file_takes_its_rows_along_and_is_reported(
    versions: VersionStore, labels: Path
) -> None:
    _run(versions, "r1", _source(labels))
    (labels / "a.csv").unlink()
    report, committed = _run(versions, "r2", _source(labels))
    assert (report.vanished, committed) == (("a.csv",), True)
    assert _refs(versions) == ["c.jpg"]
    assert len(load_records(versions.snapshot(versions.log().__next__().parents[0]))) == 3


def test_a_place_without_label_files_is_reported(versions: VersionStore, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    report, committed = _run(versions, "r1", _source(tmp_path / "empty"))
    assert not committed
    (item,) = left_out_of_sync(report)
    assert "holds no label files" in item.reason


def test_a_renamed_file_is_one_file(versions: VersionStore, labels: Path) -> None:
    (labels / "deep" / "b.jsonl").unlink()
    _run(versions, "r1", _source(labels))
    (labels / "a.csv").rename(labels / "z.csv")
    report, _ = _run(versions, "r2", _source(labels))
    assert (report.read, report.vanished) == (("z.csv",), ("a.csv",))
    assert _refs(versions) == ["a.jpg", "b.jpg"]


@pytest.mark.parametrize("how", ["emptied", "removed"])
def test_a_source_that_is_suddenly_empty_keeps_its_rows(
    versions: VersionStore, labels: Path, how: str
) -> None:
    """An unmounted disk looks like this."""
    _run(versions, "r1", _source(labels))
    for file in [labels / "a.csv", labels / "deep" / "b.jsonl"]:
        file.unlink()
    if how == "removed":
        (labels / "deep").rmdir()
        labels.rmdir()
        with pytest.raises(NotFound):
            open_reader(_source(labels))
        labels.with_name("other").mkdir()
    workspace = versions.begin("r2")
    reader = FileReader("labels", LocalStore(labels))
    report = _sync(workspace, _source(labels), reader)
    assert (report.rows, report.failed) == (3, ("labels",))
    assert workspace.commit("x", {}) is None
    (item,) = left_out_of_sync(report)
    assert (item.key, item.kind) == ("labels", "unreadable-source")


@pytest.mark.parametrize("body", ["", '{"images": [', "just words"])
def test_a_file_that_broke_keeps_the_rows_of_the_last_good_sync(
    versions: VersionStore, labels: Path, body: str
) -> None:
    _run(versions, "r1", _source(labels))
    (labels / "a.csv").write_text(body)
    report, committed = _run(versions, "r2", _source(labels))
    assert not committed
    assert report.rows == 3
    assert len(report.failed) == 1
    assert _refs(versions) == ["a.jpg", "b.jpg", "c.jpg"]
    (item,) = left_out_of_sync(report)
    assert item.kind == "unreadable-source"


def test_one_broken_file_does_not_stop_the_others(versions: VersionStore, labels: Path) -> None:
    (labels / "c.json").write_text('[{"file": "a.jpg"},')
    report, _ = _run(versions, "r1", _source(labels))
    assert report.failed == ("c.json",)
    assert report.rows == 3
    assert "c.json" in left_out_of_sync(report)[0].reason


def test_quarantine_keeps_the_originals_until_they_are_mended(
    versions: VersionStore, labels: Path
) -> None:
    bad = 'broken "line'
    (labels / "a.csv").write_text(f"file_name,label\na.jpg,cat\n{bad}\n")
    report, _ = _run(versions, "r1", _source(labels))
    assert (report.rows, report.quarantined) == (2, 1)
    (kept,) = load_rejected(versions.snapshot("main"), "labels", "a.csv")
    assert (kept.original, kept.record) == (bad, "line 3")

    again, committed = _run(versions, "r2", _source(labels))
    assert not committed
    assert again.rejected == report.rejected  # still reported while it is there
    (item,) = left_out_of_sync(again)
    assert (item.key, item.kind) == ("labels/a.csv#line 3", "quarantined")

    (labels / "a.csv").write_text("file_name,label\na.jpg,cat\nb.jpg,dog\n")
    mended, _ = _run(versions, "r3", _source(labels))
    assert (mended.quarantined, mended.rejected) == (0, ())
    assert not [p for p in versions.snapshot("main").list("meta/") if "_quarantine" in p]


def test_a_transient_error_leaves_whole_streams_and_a_retry_ends_the_same(
    versions: VersionStore, labels: Path
) -> None:
    store = Counting(labels)
    workspace = versions.begin("r1")
    store.breaks = True
    with pytest.raises(TransientError):
        _sync(workspace, _source(labels), FileReader("labels", store))
    assert len(load_records(workspace)) == 0
    store.breaks = False
    assert _sync(workspace, _source(labels), FileReader("labels", store)).rows == 3
    assert len(load_records(workspace)) == 3


def test_a_try_that_died_between_rows_and_state_is_repeated_cleanly(
    versions: VersionStore, labels: Path
) -> None:
    workspace = versions.begin("r1")
    _sync(workspace, _source(labels))
    workspace.remove("meta/labels/a.csv/_state.json")  # as if killed before the state was written
    (labels / "a.csv").write_text("file_name,label\nz.jpg,cat\n")
    _sync(workspace, _source(labels))
    assert sorted(load_records(workspace)["media_ref"].to_pylist()) == ["c.jpg", "z.jpg"]
    assert len([p for p in workspace.list("meta/labels/a.csv/") if "part-" in p]) == 1


def test_a_folder_of_yolo_files_is_one_stream_read_again_when_one_changed(
    versions: VersionStore, labels: Path
) -> None:
    for n in range(3):
        (labels / "deep" / f"{n}.txt").write_text("0 0.5 0.5 0.1 0.1\n")
        (labels / f"{n}.jpg").write_bytes(b"\xff\xd8\xff")
    workspace = versions.begin("r1")
    first = _sync(workspace, _source(labels))
    assert first.rows == 6
    (stream,) = (name for name in first.read if "yolo" in name)
    assert left_out_of_sync(first) == []
    (labels / "deep" / "0.txt").touch()
    assert _sync(workspace, _source(labels)).read == ()
    (labels / "deep" / "1.txt").write_text("0 0.5 0.5 0.2 0.2\n1 0.5 0.5 0.1 0.1\n")
    second = _sync(workspace, _source(labels))
    assert (second.read, second.rows) == ((stream,), 7)
    (labels / "deep" / "2.txt").unlink()
    assert _sync(workspace, _source(labels)).rows == 6


def test_a_single_file_of_an_unknown_format_says_what_is_read(
    versions: VersionStore, tmp_path: Path
) -> None:
    (tmp_path / "notes.md").write_text("hello")
    report, _ = _run(versions, "r1", _source(tmp_path / "notes.md"))
    assert report.rows == 0
    assert SUPPORTED in report.rejected[0].reason


def test_sources_that_the_spec_no_longer_has_are_dropped(
    versions: VersionStore, labels: Path
) -> None:
    workspace = versions.begin("r1")
    _sync(workspace, _source(labels))
    assert drop_unlisted(workspace, ["labels"]) == ()
    assert drop_unlisted(workspace, ["others"]) == ("labels",)
    assert workspace.list("meta/") == []


def test_a_rollback_takes_the_state_back_with_the_rows(
    versions: VersionStore, labels: Path
) -> None:
    _run(versions, "r1", _source(labels))
    first = versions.head()
    assert first is not None
    (labels / "a.csv").write_text("file_name,label\nz.jpg,cat\n")
    _run(versions, "r2", _source(labels))
    versions.rollback(first.id)
    report, committed = _run(versions, "r3", _source(labels))
    assert (report.read, committed) == (("a.csv",), True)
    assert _refs(versions) == ["c.jpg", "z.jpg"]


def test_many_records_come_in_several_batches_and_stay_one_part(
    versions: VersionStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainset.metadata.reading.BATCH_ROWS", 100)
    rows = "".join(f"{i}.jpg,cat\n" for i in range(250))
    (tmp_path / "big.csv").write_text("file_name,label\n" + rows)
    report, _ = _run(versions, "r1", _source(tmp_path / "big.csv"))
    assert report.rows == 250
    assert len(set(_refs(versions))) == 250
    assert len([p for p in versions.snapshot("main").list("meta/") if "part-" in p]) == 1


class FromMemory:
    """A reader of another kind: the engine knows nothing of files."""

    def __init__(self, streams: Mapping[str, list[str]]) -> None:
        self.streams = streams

    def spec(self) -> Mapping[str, Any]:
        return {}

    def check(self) -> None:
        return

    def discover(self) -> Sequence[Stream]:
        return [Stream(name=name, format="memory") for name in self.streams]

    def read(self, stream: str, state: State) -> Iterator[Batch]:
        from trainset.metadata.records import record, to_table

        values = self.streams[stream]
        if state.get("values") != values:
            rows = [record(str(i), v, "class", class_="x") for i, v in enumerate(values)]
            table = to_table(rows, source="labels", stream=stream)
            yield Batch(records=table, state={"values": values})


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.dictionaries(st.sampled_from("abc"), st.lists(st.sampled_from("xyz"), max_size=3)),
        min_size=1,
        max_size=4,
    )
)
def test_after_any_history_the_rows_are_those_of_the_source(
    tmp_path: Path, history: list[dict[str, list[str]]]
) -> None:
    home = open_home(str(tmp_path / os.urandom(8).hex()), create=True)
    workspace = home.versions.begin("r1")
    expected: dict[str, list[str]] = {}
    for n, streams in enumerate(history):
        source = _source(tmp_path)
        report = sync_source(FromMemory(streams), source, workspace, sync_id=f"s{n}", now=NOW)
        expected = dict(streams) or expected  # a source that is empty at once keeps its rows
        records = load_records(workspace)
        found = sorted(
            zip(records["stream"].to_pylist(), records["media_ref"].to_pylist(), strict=True)
        )
        assert found == sorted((s, v) for s, values in expected.items() for v in values)
        assert report.rows == len(found)
