"""What is stored without need is found by the verification: listed, counted, never removed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from services.s3_endpoint import S3Bucket
from services.tiny_source import picture
from transfer_bench import Bench

from trainset.model import RunSummary
from trainset.run.local import run_pipeline
from trainset.run.verify_transfer import VerifyWork, verify_text, verify_transfer
from trainset.spec import parse_spec
from trainset.stores.base import Upload
from trainset.stores.s3 import S3Store
from trainset.stores.s3_uploads import iter_uploads, uploaded_bytes
from trainset.transfer.ledger import open_ledger
from trainset.transfer.leftovers import Leftovers
from trainset.transfer.streams import note_key, parse_note
from trainset.transfer.verify import expected_of, verify_files
from trainset.transfer.verify_report import VerifyResult

PART = 5 * 2**20


@pytest.fixture
def sent(bench: Bench, s3_bucket: S3Bucket) -> tuple[Bench, S3Store, list[Any]]:
    bench.home.store = store = s3_bucket.store("home")
    for i in range(3):
        bench.write(f"{i}.bin", bytes([i]) * 100)
    return bench, store, [expected_of(o) for o in bench.run()]


def _look(bench: Bench, files: list[Any], **how: Any) -> VerifyResult:
    result = verify_files(files, home=bench.home, sources={}, level="L2", whole=True, **how)
    assert result.ok
    return result


def _begin(store: S3Store, key: str, data: bytes) -> str:
    upload: str = store.named("create_multipart_upload", key)["UploadId"]
    store.named("upload_part", key, UploadId=upload, PartNumber=1, Body=data)
    return upload


def test_a_clean_bucket_has_nothing_left_over(sent: Any) -> None:
    bench, _, files = sent
    result = _look(bench, files)
    assert (result.beside, result.leftovers, result.not_listed) == ((), (), ())


def test_unfinished_uploads_are_listed_with_what_they_cost(sent: Any, tmp_path: Path) -> None:
    bench, store, files = sent
    known = _begin(store, "media/u/known", b"x" * 1000)
    _begin(store, "media/ab/stray", b"x" * 500)
    _begin(store, "elsewhere/other", b"x")
    with open_ledger(tmp_path / "ledger", "home") as ledger:
        parts = ledger.part_log()
        parts.begin(store.uri("media/u/known"), Upload(upload_id=known, size=9, part_bytes=PART))
        result = _look(bench, files, parts=parts)
    (count,) = result.beside
    assert (count.kind, count.count, count.bytes) == ("upload", 2, 1500)
    stray, mine = sorted(result.leftovers, key=lambda found: found.uri)
    assert (mine.uri, stray.uri) == (store.uri("media/u/known"), store.uri("media/ab/stray"))
    assert "goes on from there" in mine.step
    assert "abort it" in stray.step
    assert known in mine.reason
    assert [u.key for u in iter_uploads(store, "media/")] == ["media/ab/stray", "media/u/known"], (
        "only looked at"
    )


def test_an_upload_that_ends_while_it_is_looked_at_is_no_error(sent: Any) -> None:
    _, store, _ = sent
    upload_id = _begin(store, "media/u/x", b"x")
    (upload,) = iter_uploads(store, "media/")
    assert uploaded_bytes(store, upload) == (1, 1)
    store.named("abort_multipart_upload", "media/u/x", UploadId=upload_id)
    assert uploaded_bytes(store, upload) == (0, 0)


def test_a_content_that_came_twice_is_counted_once_more(sent: Any) -> None:
    bench, store, files = sent
    for _ in range(2):
        store.put(files[0].uri, b"\0" * 100, sha256=files[0].sha256)
    (found,) = _look(bench, files).leftovers
    assert (found.kind, found.uri, found.bytes) == ("versions", store.uri(files[0].uri), 200)
    assert "3 versions" in found.reason


def test_a_hidden_object_that_nobody_expects_is_listed_with_its_bytes(sent: Any) -> None:
    bench, store, files = sent
    store.put("media/zz/gone", b"12345")
    store.delete("media/zz/gone")
    uri = store.uri("media/zz/gone")
    (found,) = _look(bench, files).leftovers
    assert (found.kind, found.uri, found.bytes) == ("hidden", uri, 5)
    (again,) = _look(
        bench, files, referenced=lambda uris: dict.fromkeys(uris, "commit c")
    ).leftovers
    assert "commit c refers to it" in again.reason
    assert "delete marker" in again.step


def test_streams_are_left_over_only_when_nothing_refers_to_them(sent: Any) -> None:
    bench, store, files = sent
    for name in ("a", "b"):
        store.put(f"media/u/{name}", b"123")
        store.put(note_key(f"media/u/{name}", hashlib.sha256(b"123").hexdigest()), b"note")
    a, b = store.uri("media/u/a"), store.uri("media/u/b")
    assert {f.uri for f in _look(bench, files).leftovers} == {a, b}
    (found,) = _look(
        bench, files, referenced=lambda uris: {a: "commit c"} if a in uris else {}
    ).leftovers
    assert (found.kind, found.uri, found.bytes) == ("stream", b, 3)
    row = files[0]._replace(key="cam/a", uri="media/u/a", size=3, etag=None, version_id=None)
    result = _look(bench, [*files, row])
    assert [f.uri for f in result.leftovers] == [b]
    assert result.extra == 2, "the stream of b and its note; the note of a goes with its stream"


def test_a_key_that_may_not_list_uploads_is_told(sent: Any) -> None:
    from trainset.errors import AccessDenied

    class Refusing(S3Store):
        """A key without the capability: the bucket refuses this one request."""

        def request(self, what: str, key: str, send: Any, **how: Any) -> Any:
            raise AccessDenied("list: the key lacks listFiles")

    _, store, _ = sent
    refusing = Refusing(store.bucket, store.prefix, store._credentials)
    beside = Leftovers(None, None)
    beside.uploads(refusing, "media/")
    assert "the key lacks listFiles" in beside.not_listed[0]


@pytest.mark.parametrize(
    ("key", "found"),
    [
        ("media/u/x." + "a" * 64, ("media/u/x", "a" * 64)),
        ("media/u/x.1." + "a" * 64, ("media/u/x.1", "a" * 64)),
        ("media/u/x.1", None),
        ("media/raw/u/ab/x." + "a" * 64, None),
        ("media/ab/" + "a" * 64, None),
    ],
)
def test_a_note_is_told_from_what_is_none(key: str, found: object) -> None:
    assert parse_note(key) == found


def test_an_older_commit_and_the_ledger_keep_a_stream_from_being_left_over(
    s3_bucket: S3Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRAINSET_STATE", str(tmp_path / "state"))
    source = tmp_path / "source"
    source.mkdir()
    for number in (1, 2):
        (source / f"{number}.png").write_bytes(picture(number))
    fields = {
        "name": "lab",
        "home": f"{s3_bucket.url}/home",
        "media": [{"name": "cam", "from": str(source)}],
    }
    spec, keys = parse_spec(fields, folder=tmp_path), s3_bucket.endpoint.credentials

    def run() -> RunSummary:
        return run_pipeline(spec, credentials=keys)

    def verify() -> VerifyResult:
        from trainset.run.context import now

        work = VerifyWork(run_id="verify", at=now(), spec=spec, credentials=keys)
        result = verify_transfer(work)
        page = json.loads(s3_bucket.store("home").get("runs/verify/verify.json"))
        assert page["leftovers"] == [one.model_dump() for one in result.leftovers]
        return result

    assert run().status == "completed"
    store = s3_bucket.store("home")
    store.put("media/u/stray", b"123")
    uri = store.uri("media/u/stray")
    result = verify()
    assert [(f.kind, f.uri) for f in result.leftovers] == [("stream", uri)]
    assert f"{uri}: stream: no commit and no ledger" in verify_text(result)

    # What an older commit's row names is kept: here the row of 1.png, before it changed.
    from trainset.dataset import open as open_dataset
    from trainset.run import verify_transfer as step

    rows = open_dataset(spec.home, credentials=keys).table("media").to_arrow().to_pylist()
    old = {row["key"]: row["uri"] for row in rows}["cam/1.png"]
    (source / "1.png").write_bytes(picture(9))
    assert run().status == "completed"
    home = open_dataset(spec.home, credentials=keys).home
    with open_ledger(home.state, home.url) as ledger:
        said = step.references(home, ledger, [store.uri(old), uri])
    assert list(said) == [store.uri(old)]
    assert said[store.uri(old)].startswith("commit ")
