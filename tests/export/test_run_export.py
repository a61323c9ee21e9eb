"""Exports of a real home: complete, repeatable, atomic, and honest about what is missing."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pyarrow as pa
import pytest
from services.small_home import FILES, LABELS, PICTURES, SmallHome, picture

from trainset.compute.base import Function, ItemError
from trainset.errors import InputError, SpecError
from trainset.export import plan_export, run_export, verify_export
from trainset.export.manifest import Manifest
from trainset.export.verify import read_samples
from trainset.identity import row_id
from trainset.spec import ExportSpec, SplitSpec

SPLIT = SplitSpec(train=0.6, val=0.2, test=0.2, seed=3)
SHARDS = ExportSpec(format="webdataset", split=SPLIT)
HUB = ExportSpec(format="huggingface", split=SPLIT)
both_formats = pytest.mark.parametrize("spec", [SHARDS, HUB], ids=["webdataset", "huggingface"])


def tree(folder: Path) -> dict[str, str]:
    files = (p for p in sorted(folder.rglob("*")) if p.is_file())
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files
    }


def export_folder(small: SmallHome, name: str = "out") -> Path:
    return Path(small.home.url) / "exports" / name


def manifest(small: SmallHome, name: str = "out") -> Manifest:
    return Manifest.model_validate_json((export_folder(small, name) / "manifest.json").read_bytes())


@both_formats
def test_the_manifest_names_the_commit_and_every_samples_sha256(
    small_home: SmallHome, spec: ExportSpec
) -> None:
    outcome = run_export(small_home.open("v1"), "out", spec)
    found = manifest(small_home)
    assert (found.commit, found.ref) == (small_home.open().commit.id, "v1")
    assert (found.unreadable, outcome.left_out) == (1, [])
    samples = read_samples(export_folder(small_home))
    assert {s.key: s.sha256 for s in samples} == {
        key: hashlib.sha256(data).hexdigest()
        for key, data in FILES.items()
        if key != "cameras/broken.jpg"
    }
    assert outcome.result.samples == len(samples) == 13
    assert outcome.result.path == "exports/out"
    assert verify_export(export_folder(small_home)) == []


@both_formats
def test_exports_of_one_commit_are_byte_identical(small_home: SmallHome, spec: ExportSpec) -> None:
    run_export(small_home.open("v1"), "one", spec)
    run_export(small_home.open("v1"), "two", spec)
    one, two = tree(export_folder(small_home, "one")), tree(export_folder(small_home, "two"))
    named = {"manifest.json", "README.md"}  # say the export's own name
    assert {p: h for p, h in one.items() if p not in named} == {
        p: h for p, h in two.items() if p not in named
    }
    first = run_export(small_home.open("v1"), "one", spec)
    assert first.reused


@both_formats
def test_a_finished_export_is_left_as_it_is(small_home: SmallHome, spec: ExportSpec) -> None:
    first = run_export(small_home.open(), "out", spec)
    before = {p: p.stat().st_mtime_ns for p in export_folder(small_home).rglob("*")}
    second = run_export(small_home.open(), "out", spec)
    assert (first.reused, second.reused) == (False, True)
    assert first.result == second.result
    assert {p: p.stat().st_mtime_ns for p in export_folder(small_home).rglob("*")} == before


def test_a_damaged_export_is_made_again(small_home: SmallHome) -> None:
    run_export(small_home.open(), "out", SHARDS)
    shard = next(export_folder(small_home).glob("train-*.tar"))
    shard.write_bytes(shard.read_bytes()[:-100])
    assert not run_export(small_home.open(), "out", SHARDS).reused
    assert verify_export(export_folder(small_home)) == []


def test_another_spec_or_commit_replaces_the_export(small_home: SmallHome) -> None:
    run_export(small_home.open(), "out", SHARDS)
    run_export(small_home.open(), "out", HUB)
    assert not list(export_folder(small_home).glob("*.tar"))
    small_home.commit("run-2", {"cameras/new.png": picture(99)}, [])
    assert run_export(small_home.open(), "out", HUB).result.samples == 14
    assert run_export(small_home.open("v1"), "out", HUB).result.samples == 13


def test_new_samples_move_no_old_one_to_another_split(small_home: SmallHome) -> None:
    run_export(small_home.open(), "out", SHARDS)
    before = {s.key: s.split for s in read_samples(export_folder(small_home))}
    small_home.commit("run-2", {f"new/{i}.png": picture(40 + i) for i in range(9)}, [])
    run_export(small_home.open(), "out", SHARDS)
    after = {s.key: s.split for s in read_samples(export_folder(small_home))}
    assert len(after) == 22
    assert {key: after[key] for key in before} == before
    assert before["cameras/03.png"] == before["cameras/copy-of-03.png"]


def test_labels_come_with_their_media_in_a_stable_order(small_home: SmallHome) -> None:
    wds = pytest.importorskip("webdataset")
    run_export(small_home.open(), "out", ExportSpec(format="webdataset"))
    urls = sorted(map(str, export_folder(small_home).glob("train-*.tar")))
    found = {s["__key__"]: s for s in wds.WebDataset(urls, shardshuffle=False).decode("pil")}
    ids = {s.key: s.row_id for s in read_samples(export_folder(small_home))}
    sample = found[ids["cameras/03.png"]]
    assert sample["png"].size == (43, 30)
    assert [label["class"] for label in sample["json"]] == ["car", "bus"]
    assert sample["json"][1]["attributes"] == {"occluded": 1}
    assert found[ids["cameras/01.png"]]["json"] == []
    assert manifest(small_home).classes == {"train": {"bus": 1, "car": 2}}


def test_hugging_face_loads_the_folder_offline(
    small_home: SmallHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    run_export(small_home.open(), "out", HUB)
    folder = export_folder(small_home)
    found = datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))
    rows = {row["key"]: row for split in found.values() for row in split}
    assert len(rows) == 13
    assert rows["cameras/03.png"]["image"].size == (43, 30)
    assert [label["class"] for label in rows["cameras/03.png"]["annotations"]] == ["car", "bus"]


def test_where_sees_the_labels(small_home: SmallHome) -> None:
    spec = ExportSpec(format="webdataset", where="annotations.class = 'car' and width > 40")
    run_export(small_home.open(), "out", spec)
    found = {s.key for s in read_samples(export_folder(small_home))}
    assert found == {"cameras/03.png", "cameras/05.png"}


def test_columns_and_label_texts_become_fields(small_home: SmallHome) -> None:
    spec = ExportSpec(
        format="webdataset",
        where="annotations.text is not null",
        fields={"jpg": "media", "txt": "annotations.text", "cls": "width", "key.txt": "key"},
    )
    run_export(small_home.open(), "out", spec)
    folder = export_folder(small_home)
    line = json.loads((folder / "train-00000.index.jsonl").read_text())
    tar = (folder / "train-00000.tar").read_bytes()
    found = {name: tar[a : a + n] for name, (a, n) in line["files"].items() if name != "jpg"}
    assert found == {"txt": b"a car", "cls": b"45", "key.txt": b"cameras/05.png"}


def test_the_dataset_hash_is_of_the_samples_and_not_of_their_packing(
    small_home: SmallHome,
) -> None:
    dataset = small_home.open()
    one = run_export(dataset, "one", SHARDS).result.sha256
    assert run_export(dataset, "two", HUB).result.sha256 == one
    labels = {"media": "media", "json": "annotations.class"}
    other = ExportSpec(format="webdataset", fields=labels)
    assert run_export(dataset, "three", other).result.sha256 != one
    fewer = ExportSpec(format="webdataset", where="width > 45")
    assert run_export(dataset, "four", fewer).result.sha256 != one


def test_computed_columns_are_exported_and_their_functions_named(small_home: SmallHome) -> None:
    embed = Function(operator="open_clip", version="1", params={}, output="halffloat[4]")
    cells = {key: [0.5] * 4 for key in PICTURES} | {
        "cameras/02.png": ItemError(kind="model", message="out of memory")
    }
    small_home.compute("run-2", "clip", embed, pa.list_(pa.float16(), 4), cells)
    fields = {"media": "media", "npy": "clip"}
    spec = ExportSpec(format="webdataset", fields=fields, where="key not like '%copy%'")
    run_export(small_home.open(), "out", spec)
    assert manifest(small_home).functions == {"clip": [embed.fn_id]}
    lines = (export_folder(small_home) / "train-00000.index.jsonl").read_text().splitlines()
    found = {line["key"]: set(line["files"]) for line in map(json.loads, lines)}
    assert len(found) == 12, "a failed cell drops no sample"
    assert found.pop(row_id("cameras/02.png")) == {"png"}
    assert all(files == {"png", "npy"} for files in found.values())


def test_a_changed_bit_in_a_medium_is_found_and_the_sample_left_out(
    small_home: SmallHome,
) -> None:
    data = PICTURES["cameras/07.png"]
    uri = small_home.home.media_uri(hashlib.sha256(data).hexdigest())
    path = Path(small_home.home.url) / uri
    path.chmod(0o644)
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    outcome = run_export(small_home.open(), "out", SHARDS)
    assert [(i.key, i.kind) for i in outcome.left_out] == [("cameras/07.png", "checksum-mismatch")]
    assert outcome.result.samples == 12
    assert verify_export(export_folder(small_home)) == []
    path.write_bytes(data)
    mended = run_export(small_home.open(), "out", SHARDS)
    assert (mended.reused, mended.left_out, mended.result.samples) == (False, [], 13)


def test_a_medium_that_is_gone_is_left_out_with_its_reason(small_home: SmallHome) -> None:
    small_home.home.store.delete(
        small_home.home.media_uri(hashlib.sha256(PICTURES["cameras/07.png"]).hexdigest())
    )
    [item] = run_export(small_home.open(), "out", SHARDS).left_out
    assert (item.key, item.stage, item.kind) == ("cameras/07.png", "export", "missing-bytes")
    assert "run the transfer again" in item.reason


def test_a_medium_that_does_not_fit_the_field_is_named(small_home: SmallHome) -> None:
    spec = ExportSpec(format="webdataset", fields={"mp4": "media"})
    with pytest.raises(InputError, match="takes video media and this is image"):
        run_export(small_home.open(), "out", spec)
    assert not export_folder(small_home).exists()


def test_an_export_that_takes_nothing_says_so(small_home: SmallHome) -> None:
    with pytest.raises(InputError, match="takes no readable medium; widen it"):
        run_export(
            small_home.open(), "out", ExportSpec(format="webdataset", where="width > 100000")
        )


def test_splitting_by_a_column_that_is_not_there_names_those_that_are(
    small_home: SmallHome,
) -> None:
    spec = ExportSpec(format="webdataset", split=SplitSpec(by="camera"))
    with pytest.raises(SpecError, match="no column 'camera'; take source or one of"):
        plan_export(small_home.open(), "out", spec)


def test_what_a_killed_export_left_is_cleared_away(small_home: SmallHome) -> None:
    left = Path(small_home.home.url) / "exports" / ".out.building"
    left.mkdir(parents=True)
    (left / "train-00000.tar").write_bytes(b"half")
    run_export(small_home.open(), "out", SHARDS)
    assert not left.exists()
    assert verify_export(export_folder(small_home)) == []


def test_a_plan_is_what_the_export_does(small_home: SmallHome) -> None:
    plan = plan_export(small_home.open(), "out", SHARDS)
    assert not (Path(small_home.home.url) / "exports").exists()
    run_export(small_home.open(), "out", SHARDS)
    assert plan.samples == manifest(small_home).samples
    assert plan.bytes == sum(len(d) for k, d in FILES.items() if k != "cameras/broken.jpg")


def test_progress_counts_every_sample(small_home: SmallHome) -> None:
    seen: list[int] = []
    run_export(small_home.open(), "out", SHARDS, progress=seen.append)
    assert seen == list(range(1, 14))


@pytest.mark.parametrize("fault", ["flip", "extra", "missing", "samples"])
def test_verify_finds_every_change_after_the_fact(small_home: SmallHome, fault: str) -> None:
    run_export(small_home.open(), "out", SHARDS)
    folder = export_folder(small_home)
    shard = next(folder.glob("train-*.tar"))
    if fault == "flip":
        data = bytearray(shard.read_bytes())
        data[600] ^= 1
        shard.write_bytes(data)
    elif fault == "extra":
        (folder / "train-99999.tar").write_bytes(b"")
    elif fault == "missing":
        shard.unlink()
    else:
        listing = folder / "samples.jsonl"
        listing.write_text(listing.read_text().replace('"train"', '"test"', 1))
    [line] = verify_export(folder)
    assert {"flip": shard.name, "missing": shard.name}.get(fault, "") in line


def test_labels_without_a_medium_are_in_no_export(small_home: SmallHome) -> None:
    assert any(label["media_key"] is None for label in LABELS)
    run_export(small_home.open(), "out", HUB)
    assert sum(sum(c.values()) for c in manifest(small_home).classes.values()) == 3
