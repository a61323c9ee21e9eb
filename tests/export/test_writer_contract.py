"""What every export format promises, run over every writer."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from trainset.errors import SpecError
from trainset.export.base import ExportFile, ExportWriter, Sample
from trainset.export.fields import Field, plan_fields
from trainset.export.huggingface import HuggingFaceWriter
from trainset.export.webdataset import WebDatasetWriter
from trainset.identity import row_id
from trainset.spec import ExportSpec

SCHEMA = pa.schema(
    [
        pa.field("key", pa.string()),
        pa.field("width", pa.int32()),
        pa.field("clip", pa.list_(pa.float16(), 4)),
        pa.field("ocr", pa.struct([("text", pa.string()), ("lines", pa.list_(pa.string()))])),
    ]
)
FIELDS = {
    "media": "media",
    "json": "annotations",
    "txt": "annotations.text",
    "npy": "clip",
    "width": "width",
    "words.txt": "ocr.text",
}
LABEL = {
    "source": "boxes",
    "stream": "instances",
    "record_id": "1",
    "kind": "box",
    "class": "car",
    "bbox": [1.0, 2.0, 3.0, 4.5],
    "geometry": "[[1, 2], [3, 4]]",
    "text": None,
    "score": None,
    "attributes": '{"iscrowd": 0}',
}


def fields_for(fmt: str) -> list[Field]:
    return plan_fields(ExportSpec(format=fmt, fields=FIELDS), SCHEMA)


def webdataset(shard_bytes: int) -> ExportWriter:
    return WebDatasetWriter(fields_for("webdataset"), shard_bytes=shard_bytes)


def huggingface(shard_bytes: int) -> ExportWriter:
    return HuggingFaceWriter(
        fields_for("huggingface"), shard_bytes=shard_bytes, images=True, title="demo", card="A."
    )


Make = Callable[[int], ExportWriter]
every_writer = pytest.mark.parametrize("make", [webdataset, huggingface])


def picture(i: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8 + i, 6), (i * 9 % 256, 40, 90)).save(buffer, "PNG")
    return buffer.getvalue()


def samples(count: int = 30, *, blob: int = 0) -> Iterator[Sample]:
    """Two thirds train, one third val; pictures, or ``blob`` bytes each."""
    for i in range(count):
        key = f"cameras/night.{i:03d}.png"
        data = bytes([i % 256]) * blob if blob else picture(i)
        yield Sample(
            key=key,
            row_id=row_id(key),
            split="train" if i < count * 2 // 3 else "val",
            sha256=hashlib.sha256(data).hexdigest(),
            mime="image/png",
            media=lambda data=data: data,
            fields={
                "json": [LABEL] if i % 3 else [],
                "txt": ["a car", "at night"] if i % 2 else [],
                "npy": [np.float16(0.5)] * 4 if i else None,
                "width": 8 + i,
                "words.txt": "STOP" if i % 2 else None,
            },
        )


def tree(folder: Path) -> dict[str, str]:
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


@every_writer
def test_two_writes_give_the_same_bytes(make: Make, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        make(2**20).write(samples(), tmp_path / name)
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


@every_writer
def test_the_list_of_files_is_what_lies_there(make: Make, tmp_path: Path) -> None:
    files = make(2**20).write(samples(), tmp_path)
    assert {f.path: f.sha256 for f in files} == tree(tmp_path)
    assert all((tmp_path / f.path).stat().st_size == f.size for f in files)
    assert sum(f.samples for f in files) == 30


@every_writer
def test_shards_keep_to_their_size_and_never_mix_splits(make: Make, tmp_path: Path) -> None:
    files = make(2**16).write(samples(30, blob=9_000), tmp_path)
    shards = [f for f in files if f.samples]
    assert len(shards) > 4
    assert all(f.size < 2**16 * 1.3 for f in shards)
    assert [f.split for f in shards] == sorted(str(f.split) for f in shards)
    assert sum(f.samples for f in shards if f.split == "train") == 20


@every_writer
def test_a_sample_larger_than_a_shard_gets_its_own(make: Make, tmp_path: Path) -> None:
    files = make(2**16).write(samples(3, blob=100_000), tmp_path)
    assert [f.samples for f in files if f.samples] == [1, 1, 1]


@every_writer
def test_nothing_in_nothing_out(make: Make, tmp_path: Path) -> None:
    files = make(2**20).write(iter(()), tmp_path)
    assert sum(f.samples for f in files) == 0


def shard(files: list[ExportFile], folder: Path) -> Path:
    return folder / next(f.path for f in files if f.samples)


def test_the_webdataset_library_reads_our_shards(tmp_path: Path) -> None:
    wds = pytest.importorskip("webdataset")
    webdataset(2**20).write(samples(), tmp_path)
    urls = [str(p) for p in sorted(tmp_path.glob("train-*.tar"))]
    found = list(wds.WebDataset(urls, shardshuffle=False).decode("pil"))
    assert [s["__key__"] for s in found] == [
        row_id(f"cameras/night.{i:03d}.png") for i in range(20)
    ]
    assert found[1]["png"].size == (9, 6)
    assert found[1]["txt"] == "a car\nat night"
    assert found[1]["words.txt"] == "STOP"
    assert found[1]["npy"].dtype == np.float16
    assert "npy" not in found[0], "a null value gives no file"
    assert found[0]["json"] == []
    assert found[1]["json"][0] == {
        "source": "boxes",
        "stream": "instances",
        "record_id": "1",
        "kind": "box",
        "class": "car",
        "bbox": [1.0, 2.0, 3.0, 4.5],
        "geometry": [[1, 2], [3, 4]],
        "attributes": {"iscrowd": 0},
    }


def test_the_offset_index_finds_every_field(tmp_path: Path) -> None:
    files = webdataset(2**20).write(samples(), tmp_path)
    path = shard(files, tmp_path)
    data = path.read_bytes()
    lines = path.with_name("train-00000.index.jsonl").read_text().splitlines()
    with tarfile.open(path) as tar:
        members = {m.name: tar.extractfile(m).read() for m in tar}  # type: ignore[union-attr]
    found = {
        f"{line['key']}.{name}": data[start : start + size]
        for line in map(json.loads, lines)
        for name, (start, size) in line["files"].items()
    }
    assert found == members


def test_tar_headers_say_nothing_of_this_machine(tmp_path: Path) -> None:
    files = webdataset(2**20).write(samples(2), tmp_path)
    with tarfile.open(shard(files, tmp_path)) as tar:
        for member in tar:
            assert (member.mtime, member.uid, member.gid, member.uname) == (0, 0, 0, "")


def test_the_datasets_library_reads_our_parquet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    huggingface(2**20).write(samples(), tmp_path / "export")
    found = datasets.load_dataset(str(tmp_path / "export"), cache_dir=str(tmp_path / "cache"))
    assert {name: len(split) for name, split in found.items()} == {"train": 20, "val": 10}
    row = found["train"][1]
    assert row["key"] == "cameras/night.001.png"
    assert row["image"].size == (9, 6)
    assert row["json"][0]["bbox"] == [1.0, 2.0, 3.0, 4.5]
    assert row["npy"] == [0.5] * 4
    assert row["words.txt"] == "STOP"
    assert isinstance(found["train"].features["image"], datasets.Image)


def test_mixed_media_come_as_bytes_and_name(tmp_path: Path) -> None:
    writer = HuggingFaceWriter(
        fields_for("huggingface"), shard_bytes=2**20, images=False, title="demo", card="A."
    )
    files = writer.write(samples(2), tmp_path)
    row = pq.read_table(shard(files, tmp_path)).to_pylist()[0]
    assert row["media"] == {"bytes": picture(0), "path": "night.000.png"}


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"../x": "media"}, "cannot name a field"),
        ({"jpg": "media", "png": "media"}, "media stands twice"),
        ({"txt": "nothing"}, "no column 'nothing'"),
        ({"txt": "annotations.nothing"}, "annotations have no 'nothing'"),
        ({"txt": "ocr.nothing"}, "does not lead to a value"),
        ({"cls": "annotations.class"}, "reads .cls as an integer"),
        ({"npy": "key"}, "takes numbers"),
        ({"jpg": "key"}, "takes image bytes"),
        ({"Txt": "key", "txt": "key"}, "differ in case only"),
        ({}, "is empty"),
    ],
)
def test_a_wrong_field_is_named_with_what_is_allowed(fields: dict[str, str], word: str) -> None:
    with pytest.raises(SpecError, match=word):
        WebDatasetWriter(
            plan_fields(ExportSpec(format="webdataset", fields=fields), SCHEMA), shard_bytes=2**20
        )
