"""Label files from every kind of place, in every odd state; only what changed is read again."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from services.s3_endpoint import S3Bucket
from services.web import Web, WebFile

from trainset.errors import InputError, NotFound, TransientError
from trainset.home import open_home
from trainset.metadata import files as files_module
from trainset.metadata import open_reader
from trainset.metadata.at_hand import at_hand
from trainset.metadata.files import FileReader
from trainset.metadata.labels.folders import found_formats
from trainset.metadata.labels.registry import FORMATS
from trainset.metadata.places import open_file_reader
from trainset.metadata.store import load_records, load_rejected, read_state
from trainset.metadata.sync import SyncReport, left_out_of_sync, sync_source
from trainset.model import Credentials
from trainset.spec import MetadataSource
from trainset.stores.base import ObjectInfo
from trainset.stores.local import LocalStore
from trainset.versions.base import Workspace

NOW = datetime(2026, 11, 1, tzinfo=UTC)
CSV = b"file_name,label\na.jpg,cat\n"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return open_home(str(tmp_path / "home"), create=True).versions.begin("r1")


@pytest.fixture
def web() -> Iterator[Web]:
    server = Web()
    yield server
    server.stop()


def _source(place: object, **options: Any) -> MetadataSource:
    return MetadataSource.model_validate({"name": "labels", "from": str(place), **options})


def _sync(
    workspace: Workspace,
    source: MetadataSource,
    reader: FileReader | None = None,
    *,
    sync_id: str = "s1",
    credentials: Credentials | None = None,
) -> SyncReport:
    found = reader or open_reader(source, credentials)
    return sync_source(found, source, workspace, sync_id=sync_id, now=NOW)


def _refs(workspace: Workspace) -> list[str]:
    return sorted(load_records(workspace)["media_ref"].to_pylist())


def test_a_file_on_a_web_server_is_read_once_until_it_changes(
    web: Web, workspace: Workspace
) -> None:
    web.files["/x/labels.csv"] = WebFile(CSV)
    source = _source(f"{web.url}/x/labels.csv")
    assert _sync(workspace, source).rows == 1
    asked = len(web.asked)
    assert _sync(workspace, source).read == ()
    # Its head tells what it is; its bytes are not asked for.
    assert all("range" in a.headers for a in web.asked[asked:] if a.method == "GET")
    web.files["/x/labels.csv"] = WebFile(CSV + b"b.jpg,dog\n")
    assert _sync(workspace, source).rows == 2
    del web.files["/x/labels.csv"]
    gone = _sync(workspace, source)
    assert (gone.rows, gone.failed) == (2, ("labels",))


def test_the_signature_of_a_url_is_never_shown_or_stored(web: Web) -> None:
    web.files["/x/labels.csv?token=abc"] = WebFile(CSV)
    reader = open_file_reader("labels", f"{web.url}/x/labels.csv?token=abc")
    (stream,) = reader.discover()
    (batch,) = reader.read(stream.name, {})
    assert batch.records.num_rows == 1
    assert "abc" not in f"{stream} {batch.state}"
    web.files.clear()
    with pytest.raises(NotFound) as error:
        reader.check()
    assert "abc" not in str(error.value)


def _streams(workspace: Workspace) -> list[str]:
    return sorted({path.split("/")[2] for path in workspace.list("meta/labels/")})


def test_any_url_of_fsspec_is_a_folder_or_a_file_of_labels(workspace: Workspace) -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe("/set/a.csv", CSV)
    memory.pipe("/set/deep/b.jsonl", b'{"file": "b.jpg", "label": "x"}\n')
    assert _sync(workspace, _source("memory://set")).rows == 2
    assert _sync(workspace, _source("memory://set")).read == ()
    report = _sync(workspace, _source("memory://set/deep/b.jsonl"))
    assert _refs(workspace) == ["b.jpg"]
    assert report.vanished


def test_a_bucket_gives_the_same_as_a_folder(
    s3_bucket: S3Bucket, tmp_path: Path, workspace: Workspace
) -> None:
    store = s3_bucket.store("labels")
    for key, body in (("a.csv", CSV), ("b.csv", CSV.replace(b"a.jpg", b"b.jpg"))):
        store.put(key, body)
    source = _source(f"{s3_bucket.url}/labels")
    assert _sync(workspace, source, credentials=s3_bucket.endpoint.credentials).rows == 2
    assert _sync(workspace, source, credentials=s3_bucket.endpoint.credentials).read == ()
    store.put("a.csv", CSV + b"c.jpg,cow\n")
    report = _sync(workspace, source, credentials=s3_bucket.endpoint.credentials, sync_id="s2")
    assert (report.read, report.rows) == (("a.csv",), 3)


class Counting(LocalStore):
    """A folder that notes which files are read."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.got: list[str] = []

    def get(self, key: str, *, start: int = 0, length: int | None = None) -> bytes:
        if length is None:
            self.got.append(key)
        return super().get(key, start=start, length=length)


def _yolo(folder: Path, name: str, body: str) -> None:
    path = folder / "labels" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    before = path.stat().st_mtime_ns if path.exists() else 0
    path.write_text(body)
    os.utime(path, ns=(before + 10**9, before + 10**9))


def test_of_a_folder_of_small_files_only_those_that_changed_are_read(
    tmp_path: Path, workspace: Workspace
) -> None:
    folder = tmp_path / "set"
    for i in range(20):
        _yolo(folder, f"{i}.txt", f"0 .5 .5 .1 .{i + 10}\n" + ("broken line\n" if i < 2 else ""))
    (folder / "data.yaml").write_text("names: [cat, dog]\n")
    source = _source(folder)
    first = _sync(workspace, source, FileReader("labels", Counting(folder)))
    assert (first.rows, first.quarantined) == (20, 2)

    _yolo(folder, "0.txt", "1 .5 .5 .1 .1\n1 .5 .5 .2 .2\nbroken too\n")
    _yolo(folder, "new file.txt", "0 .5 .5 .3 .3\nbad one\n")
    (folder / "labels" / "19.txt").unlink()
    store = Counting(folder)
    second = _sync(workspace, source, FileReader("labels", store), sync_id="s2")
    assert {key for key in store.got if key.endswith(".txt")} == {
        "labels/0.txt",
        "labels/new file.txt",
    }
    assert (second.rows, second.quarantined) == (21, 3)
    (stream,) = _streams(workspace)
    whole = open_home(str(tmp_path / "other"), create=True).versions.begin("r1")
    _sync(whole, source)
    assert _rows(workspace) == _rows(whole)
    key = [(fault.record, fault.original) for fault in load_rejected(workspace, "labels", stream)]
    assert sorted(key) == sorted(
        (fault.record, fault.original) for fault in load_rejected(whole, "labels", stream)
    )
    (folder / "data.yaml").write_text("names: [car, dog]\n")  # changes what all files say
    store = Counting(folder)
    third = _sync(workspace, source, FileReader("labels", store), sync_id="s3")
    assert len([key for key in store.got if key.endswith(".txt")]) == 20
    assert third.rows == 21


def _rows(workspace: Workspace) -> list[str]:
    return sorted(json.dumps(row, sort_keys=True) for row in load_records(workspace).to_pylist())


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["a.txt", "b.txt", "a b.txt", "a#1.txt"]),
            st.sampled_from(
                ["", "0 .5 .5 .1 .1\n", "1 .5 .5 .1 .1\nbad\n", "bad\n0 .1 .1 .1 .1\n"]
            ),
            min_size=1,
        ),
        min_size=2,
        max_size=4,
    )
)
def test_after_any_history_a_folder_has_the_rows_that_one_fresh_reading_gives(
    tmp_path: Path, history: list[dict[str, str]]
) -> None:
    folder = tmp_path / os.urandom(8).hex()
    for n in ("home", "fresh"):
        open_home(str(folder / n), create=True)
    workspace = open_home(str(folder / "home")).versions.begin("r1")
    source = _source(folder / "set", format="yolo")
    for n, contents in enumerate(history):
        for path in (folder / "set").glob("labels/*.txt"):
            if path.name not in contents:
                path.unlink()
        for name, body in contents.items():
            _yolo(folder / "set", name, body)
        report = _sync(workspace, source, sync_id=f"s{n}")
    fresh = open_home(str(folder / "fresh")).versions.begin("r1")
    again = _sync(fresh, source)
    assert _rows(workspace) == _rows(fresh)
    faults = [sorted((f.record, f.original) for f in r.rejected) for r in (report, again)]
    assert faults[0] == faults[1]


@pytest.mark.parametrize("name", sorted(n for n, f in FORMATS.items() if not f.one_file))
def test_records_of_small_files_say_whose_they_are(name: str) -> None:
    """What ``kept`` tells the files of a stream by."""
    bodies = {
        "yolo": b"0 .5 .5 .1 .1\nbad\n0 .5 .5 .1 .1\n",
        "voc": b"<annotation><object><name>a#b</name></object><object/></annotation>",
    }
    file = f"a b#1{FORMATS[name].suffix}"
    for item in FORMATS[name].read(bodies[name], stream="s", place=f"deep/{file}"):
        if isinstance(item, dict):
            assert item["record_id"].rpartition("#")[0] == file
        else:
            assert item.record.startswith(f"{file} ")


def test_what_an_older_version_read_is_read_again_once(
    tmp_path: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.csv").write_bytes(CSV)
    source = _source(tmp_path / "a.csv")
    monkeypatch.setattr(files_module, "READING", files_module.READING - 1)
    _sync(workspace, source)
    assert _sync(workspace, source).read == ()
    monkeypatch.undo()
    assert _sync(workspace, source, sync_id="s2").read == ("a.csv",)
    assert _sync(workspace, source, sync_id="s3").read == ()


def test_the_state_of_a_file_has_its_version_size_time_and_hash(
    tmp_path: Path, workspace: Workspace
) -> None:
    (tmp_path / "a.csv").write_bytes(CSV)
    _sync(workspace, _source(tmp_path / "a.csv"))
    fact = read_state(workspace, "labels", "a.csv")["files"]["a.csv"]
    assert set(fact) == {"version", "size", "modified", "sha256"}
    assert fact["size"] == len(CSV)


@pytest.mark.parametrize(
    "body",
    [
        b"\xef\xbb\xbf" + CSV,
        CSV.decode().encode("utf-16"),
        b"\xfe\xff" + CSV.decode().encode("utf-16-be"),
        CSV.replace(b"\n", b"\r\n"),
        CSV.replace(b"\n", b"\r\n").decode().encode("utf-16"),
        CSV.rstrip(),
        b"\n\n" + CSV + b"\n\n",
    ],
    ids=["utf-8 mark", "utf-16", "utf-16 be", "crlf", "utf-16 crlf", "no end", "blank lines"],
)
def test_a_text_file_is_read_whatever_its_encoding_and_line_ends(
    body: bytes, tmp_path: Path, workspace: Workspace
) -> None:
    (tmp_path / "a.csv").write_bytes(body)
    report = _sync(workspace, _source(tmp_path / "a.csv"))
    assert (report.rows, report.quarantined) == (1, 0)
    (row,) = load_records(workspace).to_pylist()
    assert (row["media_ref"], row["class"]) == ("a.jpg", "cat")


def test_a_file_replaced_by_another_format_is_read_as_that(
    tmp_path: Path, workspace: Workspace
) -> None:
    import io

    import pyarrow.parquet as pq

    place = tmp_path / "labels.csv"
    place.write_bytes(CSV)
    _sync(workspace, _source(tmp_path / "labels.csv"))
    out = io.BytesIO()
    pq.write_table(pa.table({"image": ["b.jpg"], "label": ["dog"]}), out)
    for n, (body, format_) in enumerate(
        [(out.getvalue(), "parquet"), (b'{"image": "c.jpg"}\n', "jsonl"), (CSV, "csv")]
    ):
        place.write_bytes(body)
        assert _sync(workspace, _source(place), sync_id=f"s{n + 2}").read == ("labels.csv",)
        assert read_state(workspace, "labels", "labels.csv")["format"] == format_
    assert _refs(workspace) == ["a.jpg"]


def test_a_folder_of_mixed_formats_is_a_stream_each_and_what_is_none_is_listed(
    tmp_path: Path, workspace: Workspace
) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "a.csv").write_bytes(CSV)
    (folder / "b.json").write_text('[{"image": "b.jpg"}]')
    (folder / "notes.md").write_text("hello")
    (folder / "old.xls").write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 99)
    for i in range(3):
        _yolo(folder, f"{i}.txt", "0 .5 .5 .1 .1\n")
    report = _sync(workspace, _source(folder))
    assert (report.rows, len(report.read)) == (5, 3)
    reasons = " ".join(item.reason for item in left_out_of_sync(report))
    assert "notes.md" in reasons
    assert "an old Office file" in reasons


def test_an_empty_folder_and_a_file_without_rows_say_so(
    tmp_path: Path, workspace: Workspace
) -> None:
    (tmp_path / "set").mkdir()
    report = _sync(workspace, _source(tmp_path / "set"))
    assert "holds no label files" in report.rejected[0].reason
    (tmp_path / "set" / "a.csv").write_text("file_name,label\n")
    named = _source(tmp_path / "set" / "a.csv", format="csv")
    assert (_sync(workspace, named).read, _sync(workspace, named).read) == (("a.csv",), ())


def test_a_file_without_permission_is_reported_and_keeps_its_rows(
    tmp_path: Path, workspace: Workspace
) -> None:
    place = tmp_path / "a.csv"
    place.write_bytes(CSV)
    _sync(workspace, _source(place))

    class Locked(LocalStore):
        def local_path(self, key: str) -> Path:
            raise InputError(f"{key}: no permission; give this user permission on it")

        def uri(self, key: str) -> str:
            return key

    place.write_bytes(CSV + b"b.jpg,dog\n")
    reader = FileReader("labels", Locked(tmp_path), key="a.csv")
    report = _sync(workspace, _source(place), reader)
    assert (report.failed, report.rows) == (("a.csv",), 1)


def test_a_file_that_changes_while_it_is_read_is_read_again_later(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(CSV)
    store = LocalStore(tmp_path)
    info = store.head("a.csv")
    assert info is not None
    with pytest.raises(TransientError, match="changed while it was read"), at_hand(store, info):
        (tmp_path / "a.csv").write_bytes(CSV * 2)


def test_a_place_that_is_not_there_says_what_to_mend(web: Web) -> None:
    with pytest.raises(NotFound, match="mend 'from'"):
        open_reader(_source(f"{web.url}/none.csv")).check()
    with pytest.raises(InputError, match="not known"):
        open_reader(_source("gopher://host/x/labels.csv"))


def test_formats_of_many_files_in_one_folder_are_found_in_linear_time() -> None:
    """200,000 names; with a list looked through for each it took hours."""
    infos = {
        f"labels/{i}.txt": ObjectInfo(key=f"labels/{i}.txt", size=9, version="1", modified=NOW)
        for i in range(200_000)
    }
    looked: list[str] = []

    def look(info: ObjectInfo) -> str:
        looked.append(info.key)
        return "yolo"

    found = found_formats(infos, look)
    assert set(found.values()) == {"yolo"}
    assert len(looked) == 5
