"""Reference mode: what a transfer does with objects that stay where they are."""

from __future__ import annotations

import hashlib
import io
import logging
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from PIL import Image
from services.s3_endpoint import S3Bucket
from services.tiny_source import picture

from trainset.errors import InputError, SpecError, VersionGone
from trainset.home import open_home
from trainset.media.probe import probe_media
from trainset.model import MediaFacts
from trainset.spec import MediaSource, parse_spec
from trainset.stores import check_adoptable, open_store
from trainset.stores.base import ReadStore
from trainset.stores.pinned import open_pinned
from trainset.stores.s3 import S3Store
from trainset.transfer import adopt_file
from trainset.transfer.adopt import adopt_batch
from trainset.transfer.base import Outcome, SourceFile, transfer_totals
from trainset.transfer.ledger.sqlite import SqliteLedger
from trainset.transfer.listing import list_source


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqliteLedger]:
    with SqliteLedger(tmp_path / "ledger.sqlite") as ledger:
        yield ledger


def listed(store: ReadStore, url: str) -> list[SourceFile]:
    source = MediaSource.model_validate({"name": "raw", "from": url, "mode": "reference"})
    return list(list_source(source, store))  # type: ignore[arg-type]


def adopt(store: ReadStore, url: str, ledger: SqliteLedger, **how: Any) -> dict[str, Outcome]:
    outcomes = adopt_batch(listed(store, url), sources={"raw": store}, ledger=ledger, **how)
    return {outcome.file.path: outcome for outcome in outcomes}


def put_plainly(store: S3Store, key: str, data: bytes, **how: Any) -> None:
    """As other tools write objects: without our metadata."""
    store.named("put_object", key, Body=data, **how)


def test_an_object_is_read_once_hashed_and_pinned(
    s3_bucket: S3Bucket, ledger: SqliteLedger
) -> None:
    store = s3_bucket.store("2026")
    put = store.put("a.png", picture(1))
    store.put("broken.jpg", b"\xff\xd8\xff\xe0 cut off")
    files = listed(store, f"{s3_bucket.url}/2026")
    s3_bucket.proxy.reset()
    outcomes = adopt_batch(files, sources={"raw": store}, ledger=ledger)
    assert s3_bucket.proxy.counts == {"GET": 2}
    first, broken = outcomes
    assert first.uri == f"s3://{s3_bucket.name}/2026/a.png" == first.file.uri
    assert first.version_id == put.version_id is not None
    assert first.sha256 == hashlib.sha256(picture(1)).hexdigest()
    assert first.facts == probe_media(picture(1), "a.png")
    assert first.arrived
    assert first.moved_bytes == 0
    assert first.reason == "adopted in place"
    assert broken.arrived
    assert broken.facts is not None
    assert broken.facts.unreadable
    totals = transfer_totals(outcomes)
    assert totals.balances
    assert (totals.skipped, totals.bytes) == (2, 0)


def test_what_the_ledger_knows_is_not_read_again(s3_bucket: S3Bucket, ledger: SqliteLedger) -> None:
    store = s3_bucket.store()
    store.put("a.png", picture(1))
    before = adopt(store, s3_bucket.url, ledger)["a.png"]
    s3_bucket.proxy.reset()
    again = adopt(store, s3_bucket.url, ledger)["a.png"]
    assert s3_bucket.proxy.counts == {"GET": 1, "HEAD": 1}, "the listing, and a look"
    assert (again.sha256, again.version_id, again.facts) == (
        before.sha256,
        before.version_id,
        before.facts,
    )


def test_the_same_bytes_written_anew_pin_the_new_version(
    s3_bucket: S3Bucket, ledger: SqliteLedger
) -> None:
    store = s3_bucket.store()
    store.put("a.png", picture(1))
    before = adopt(store, s3_bucket.url, ledger)["a.png"]
    put = store.put("a.png", picture(1))
    after = adopt(store, s3_bucket.url, ledger)["a.png"]
    assert after.version_id == put.version_id != before.version_id
    assert after.sha256 == before.sha256


def test_an_object_can_be_adopted_unread(s3_bucket: S3Bucket, ledger: SqliteLedger) -> None:
    store = s3_bucket.store()
    sha256 = hashlib.sha256(picture(2)).hexdigest()
    store.put("known.png", picture(2), sha256=sha256)
    put_plainly(store, "unknown.mp4", b"not looked at")
    put_plainly(store, "nameless", b"not looked at", ContentType="audio/flac")
    files = listed(store, s3_bucket.url)
    s3_bucket.proxy.reset()
    outcomes = adopt_batch(
        files, sources={"raw": store}, ledger=ledger, hashed=lambda source: False
    )
    assert s3_bucket.proxy.counts == {"HEAD": 3}
    found = {o.file.path: o for o in outcomes}
    assert found["known.png"].sha256 == sha256, "from the object's metadata"
    assert found["unknown.mp4"].sha256 is None
    assert found["unknown.mp4"].facts == MediaFacts(mime="video/mp4", modality="video")
    assert found["nameless"].facts == MediaFacts(mime="audio/flac", modality="audio")
    assert all(o.arrived for o in outcomes)


def test_an_object_that_changed_since_the_listing_waits(
    s3_bucket: S3Bucket, ledger: SqliteLedger
) -> None:
    store = s3_bucket.store()
    for name in ("changed.png", "gone.png"):
        store.put(name, picture(1))
    files = listed(store, s3_bucket.url)
    store.put("changed.png", picture(2))
    store.delete("gone.png")
    outcomes = adopt_batch(files, sources={"raw": store}, ledger=ledger)
    assert [o.status for o in outcomes] == ["deferred", "deferred"]
    assert transfer_totals(outcomes).balances


def test_a_large_object_is_looked_into_without_being_read_whole(
    s3_bucket: S3Bucket, ledger: SqliteLedger
) -> None:
    store = s3_bucket.store()
    large = sound(seconds=400)
    put_plainly(store, "long.wav", large)
    files = listed(store, s3_bucket.url)
    asked: list[int] = []

    def probe(data: bytes | Path | BinaryIO, name: str) -> MediaFacts:
        assert not isinstance(data, bytes | Path), "a seekable file, not the bytes"
        raw = data.raw  # type: ignore[attr-defined]
        read = raw._read
        raw._read = lambda start, length: asked.append(length) or read(start, length)
        return probe_media(data, name)

    [outcome] = adopt_batch(
        files, sources={"raw": store}, ledger=ledger, memory_bytes=2**20, probe=probe
    )
    assert outcome.sha256 is None
    assert outcome.version_id
    assert outcome.facts is not None
    assert (outcome.facts.mime, outcome.facts.duration) == ("audio/wav", 400.0)
    assert max(asked) <= 2**20
    assert sum(asked) < len(large) / 2


def test_a_look_into_a_large_object_ends_when_it_costs_too_much(
    s3_bucket: S3Bucket, ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adopt_file, "MOST_LOOK_BYTES", 3 * 2**20)
    store = s3_bucket.store()
    put_plainly(store, "odd.wav", sound(seconds=1) + bytes(5 * 2**20))  # looks for chunks in it
    [outcome] = adopt_batch(
        listed(store, s3_bucket.url), sources={"raw": store}, ledger=ledger, memory_bytes=2**20
    )
    assert outcome.facts == MediaFacts(mime="audio/wav", modality="audio"), "not: unreadable"


def sound(seconds: int) -> bytes:
    data = io.BytesIO()
    with wave.open(data, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(bytes(16_000 * seconds))
    return data.getvalue()


def test_a_network_fault_is_not_taken_for_a_broken_medium(
    s3_bucket: S3Bucket, ledger: SqliteLedger
) -> None:
    store = s3_bucket.store()
    data = io.BytesIO()
    Image.effect_noise((900, 900), 90).save(data, "PNG")
    store.put("noise.png", data.getvalue())
    files = listed(store, s3_bucket.url)
    store._retrier.attempts = 1

    def probe(data: bytes | Path | BinaryIO, name: str) -> MediaFacts:
        s3_bucket.proxy.faults.reset = 1.0
        return probe_media(data, name)

    [outcome] = adopt_batch(
        files, sources={"raw": store}, ledger=ledger, memory_bytes=1000, probe=probe
    )
    assert (outcome.status, outcome.kind) == ("deferred", "transient")


def test_a_pinned_version_is_read_after_an_overwrite_and_missed_after_its_deletion(
    s3_bucket: S3Bucket, ledger: SqliteLedger, tmp_path: Path
) -> None:
    home = open_home(
        str(tmp_path / "home"), credentials=s3_bucket.endpoint.credentials, create=True
    )
    store = s3_bucket.store("2026")
    store.put("a.png", picture(1))
    old = adopt(store, f"{s3_bucket.url}/2026", ledger)["a.png"]
    store.put("a.png", picture(2))
    assert home.read_media(str(old.uri), old.version_id) == picture(1)
    with home.open_media(str(old.uri), old.version_id) as stream:
        assert stream.read() == picture(1)
    assert home.read_media(str(old.uri)) == picture(2), "without a pin, the newest"
    store.delete("a.png")
    assert home.read_media(str(old.uri), old.version_id) == picture(1), "hidden, not gone"
    store.request(
        "delete", "", lambda: store.named("delete_object", "a.png", VersionId=old.version_id)
    )
    with pytest.raises(VersionGone, match=f"{old.version_id}.*run the pipeline again"):
        home.read_media(str(old.uri), old.version_id)
    with pytest.raises(VersionGone):
        home.open_media(str(old.uri), old.version_id)


def test_without_versions_an_overwrite_is_found_out(
    s3_bucket: S3Bucket, ledger: SqliteLedger, tmp_path: Path
) -> None:
    name = s3_bucket.name + "-flat"
    s3_bucket.endpoint._direct.create_bucket(Bucket=name)
    flat = S3Bucket(name, s3_bucket.endpoint)
    store = flat.store()
    store.put("a.png", picture(1))
    outcome = adopt(store, flat.url, ledger)["a.png"]
    assert outcome.version_id == f"etag:{outcome.file.version}"
    assert "pinned by its ETag only" in str(outcome.reason)
    home = open_home(
        str(tmp_path / "home"), credentials=s3_bucket.endpoint.credentials, create=True
    )
    assert home.read_media(str(outcome.uri), outcome.version_id) == picture(1)
    store.put("a.png", picture(2))
    with pytest.raises(VersionGone, match=r"etag:.*overwritten"):
        home.read_media(str(outcome.uri), outcome.version_id)


def test_files_of_a_folder_are_pinned_by_their_time(tmp_path: Path, ledger: SqliteLedger) -> None:
    folder = tmp_path / "photos of 2026"
    folder.mkdir()
    (folder / "a#1.png").write_bytes(picture(1))
    store = open_store(str(folder))
    outcome = adopt(store, str(folder), ledger)["a#1.png"]
    home = open_home(str(tmp_path / "home"), create=True)
    assert outcome.uri == str(folder / "a#1.png")
    assert home.read_media(outcome.uri, outcome.version_id) == picture(1)
    (folder / "a#1.png").write_bytes(picture(2) + b" ")
    with pytest.raises(VersionGone, match="mtime:"):
        home.read_media(outcome.uri, outcome.version_id)


def test_a_pinned_reader_seeks(s3_bucket: S3Bucket) -> None:
    store = s3_bucket.store()
    data = bytes(range(256)) * 64
    put = store.put("a.bin", data)
    with open_pinned(store, "a.bin", put.version_id, block=1000) as stream:
        assert stream.seek(-10, io.SEEK_END) == len(data) - 10
        assert stream.read() == data[-10:]
        assert stream.seek(5) == 5
        assert stream.read(3000) == data[5:3005]
        assert stream.seek(2, io.SEEK_CUR) == 3007
        assert stream.read(1) == data[3007:3008]


@pytest.mark.parametrize(
    ("rule", "refused"),
    [
        ({"Prefix": "2026/", "NoncurrentVersionExpiration": {"NoncurrentDays": 1}}, "old versions"),
        ({"Prefix": "", "Expiration": {"Days": 30}}, "objects in the whole bucket"),
        ({"Prefix": "2026/tmp/", "Expiration": {"Days": 30}}, "objects below '2026/tmp/'"),
        ({"Prefix": "logs/", "Expiration": {"Days": 30}}, None),
        ({"Prefix": "", "Expiration": {"ExpiredObjectDeleteMarker": True}}, None),
        ({"Prefix": "", "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}}, None),
        ({"Prefix": "", "Status": "Disabled", "Expiration": {"Days": 30}}, None),
    ],
)
def test_a_lifecycle_rule_that_would_remove_pinned_versions_is_refused(
    s3_bucket: S3Bucket, rule: dict[str, Any], refused: str | None
) -> None:
    prefix = {"Filter": {"Prefix": rule.pop("Prefix")}}
    s3_bucket.endpoint._direct.put_bucket_lifecycle_configuration(
        Bucket=s3_bucket.name,
        LifecycleConfiguration={"Rules": [{"ID": "tidy", "Status": "Enabled"} | prefix | rule]},
    )
    store = s3_bucket.store("2026")
    if refused is None:
        check_adoptable(store)
    else:
        with pytest.raises(InputError, match=f"'tidy' removes {refused}"):
            check_adoptable(store)


def test_a_bucket_without_versions_is_warned_of(
    s3_bucket: S3Bucket, caplog: pytest.LogCaptureFixture
) -> None:
    check_adoptable(s3_bucket.store())
    assert not caplog.records
    name = s3_bucket.name + "-flat"
    s3_bucket.endpoint._direct.create_bucket(Bucket=name)
    with caplog.at_level(logging.WARNING):
        check_adoptable(S3Bucket(name, s3_bucket.endpoint).store())
    assert "keeps no old versions" in caplog.text


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ({"from": "https://example.org/photos", "mode": "reference"}, "mode: copy"),
        ({"from": "gs://bucket/photos", "mode": "reference"}, "gs:// keeps no version"),
        ({"from": "s3://bucket/photos", "hash": False}, "mode: reference"),
    ],
)
def test_a_source_that_cannot_be_referenced_is_refused(source: dict[str, Any], says: str) -> None:
    spec = {"name": "d", "home": "home", "media": [{"name": "raw", **source}]}
    with pytest.raises(SpecError, match=says):
        parse_spec(spec, folder=Path("/"))
