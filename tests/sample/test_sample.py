"""The sample is the same every time, small, and true."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from trainset.media.probe import probe_media
from trainset.sample import sample_scenes, write_sample
from trainset.sample.scenes import COLOURS
from trainset.sample.write import CUT_OFF, ORPHAN


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("sample")
    write_sample(place)
    return place


def hashes(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_same_seed_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    write_sample(tmp_path)
    assert hashes(tmp_path) == hashes(folder)
    assert sample_scenes(seed=8) != sample_scenes()


def test_it_is_small_and_mixed(folder: Path) -> None:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 6e6
    kinds = {probe_media(path, path.name).modality for path in files}
    assert kinds == {"image", "video", "audio", "document", "other"}


def test_it_has_one_broken_picture_one_duplicate_and_one_turned(folder: Path) -> None:
    facts = {path: probe_media(path, path.name) for path in sorted(folder.glob("photos/**/*.*"))}
    assert [path.name for path, fact in facts.items() if fact.unreadable] == [
        f"scene-{CUT_OFF + 1:03d}.jpg"
    ]
    assert len(facts) - len({hashes(folder)[p.relative_to(folder).as_posix()] for p in facts}) == 1
    turned = [path for path in facts if not facts[path].unreadable and is_turned(path)]
    assert len(turned) == 1
    with Image.open(turned[0]) as image:
        assert image.size == (facts[turned[0]].height, facts[turned[0]].width)


def is_turned(path: Path) -> bool:
    with Image.open(path) as image:
        return image.getexif().get(0x0112, 1) != 1


def test_boxes_are_where_the_things_are(folder: Path) -> None:
    coco = json.loads((folder / "labels/instances.json").read_text())
    images = {image["id"]: image for image in coco["images"]}
    checked = 0
    for label in coco["annotations"]:
        image = images[label["image_id"]]
        path = folder / "photos" / image["file_name"]
        if not path.exists() or probe_media(path, path.name).unreadable:
            continue
        picture = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
        assert picture.size == (image["width"], image["height"])
        x, y, width, height = label["bbox"]
        assert 0 <= x < x + width <= image["width"]
        assert 0 <= y < y + height <= image["height"]
        inside = np.asarray(picture.crop((x, y, x + width, y + height)), np.int16)
        colour = COLOURS[label["attributes"]["color"]]
        near = (np.abs(inside - colour).max(axis=2) < 90).sum()
        assert near >= 0.5 * label["area"]
        checked += 1
    assert checked > 40


def test_one_label_names_a_picture_that_is_not_there(folder: Path) -> None:
    coco = json.loads((folder / "labels/instances.json").read_text())
    names = {image["file_name"] for image in coco["images"]}
    there = {path.name for path in (folder / "photos").iterdir()}
    assert names - there == {ORPHAN}
    with (folder / "labels/captions.csv").open() as file:
        assert all((folder / row["file"]).exists() for row in csv.DictReader(file))


def test_scenes_can_be_named_without_drawing(folder: Path) -> None:
    assert all((folder / key).exists() for key, _ in sample_scenes())
