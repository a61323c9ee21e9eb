"""A tiny real source: a dozen pictures, a sound, a broken picture, labels; and its spec."""

from __future__ import annotations

import io
import json
import os
import wave
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from trainset.dataset import Dataset
from trainset.dataset import open as open_dataset
from trainset.home import Home, open_home
from trainset.spec import DatasetSpec, load_spec

PICTURES = 12
MEDIA = PICTURES + 2  # the sound, and the broken picture, which is a row as well
CELLS = PICTURES * 3  # of the columns below; the broken picture gets none
BROKEN = "broken.jpg"
COLUMNS = {
    "info": {"op": "image_info"},
    "thumb": {"op": "thumbnail", "size": 32, "to": "thumbs/"},
    "phash": {"op": "phash"},
}
EXPORTS = {
    "shards": {
        "format": "webdataset",
        "where": "modality = 'image'",
        "fields": {"png": "media", "json": "annotations"},
    }
}


@dataclass
class TinySource:
    """The folder of media and labels, and the spec of the dataset made from it.

    ``spec_fields`` is written to dataset.yaml by ``write_spec``; a test may change it before.
    """

    root: Path
    spec_fields: dict[str, Any] = field(default_factory=dict)

    @property
    def media(self) -> Path:
        return self.root / "media"

    @property
    def spec_file(self) -> Path:
        return self.root / "dataset.yaml"

    @property
    def spec(self) -> DatasetSpec:
        return load_spec(self.spec_file)

    @property
    def home(self) -> Home:
        return open_home(self.spec.home)

    def open(self, ref: str = "main") -> Dataset:
        return open_dataset(self.spec.home, ref)

    def write(self, name: str, data: bytes) -> None:
        """Write a medium; its mtime moves, as a clock with coarse ticks might not let it."""
        path = self.media / name
        before = path.stat().st_mtime_ns if path.exists() else 0
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        if path.stat().st_mtime_ns <= before:
            os.utime(path, ns=(before + 1, before + 1))

    def write_spec(self, **changes: Any) -> None:
        self.spec_fields |= changes
        # JSON is YAML.
        self.spec_file.write_text(json.dumps(self.spec_fields, indent=1), encoding="utf-8")

    def media_rows(self, ref: str = "main") -> dict[str, dict[str, Any]]:
        """Rows of ``media`` by the name of the file."""
        rows = self.open(ref).table("media").to_arrow().to_pylist()
        return {row["key"].removeprefix("cam/"): row for row in rows}

    def root_hash(self, ref: str = "main") -> str:
        """What the commit's tables say, as one number (see ``trainset.tables.root_hash``)."""
        return self.home.versions.resolve(ref).metadata["root"]

    def media_objects(self) -> dict[str, tuple[int, int]]:
        """What the home holds under ``media/``, with inode and mtime: they tell a second put."""
        place = Path(self.spec.home) / "media"
        found = [p for p in place.rglob("*") if p.is_file() and not p.name.startswith(".")]
        return {p.name: (p.stat().st_ino, p.stat().st_mtime_ns) for p in found}


def make_tiny_source(root: Path, *, pictures: int = PICTURES) -> TinySource:
    """Write the source below ``root``; the home will be ``root/home``."""
    source = TinySource(root)
    for number in range(pictures):
        source.write(f"{number:02d}.png", picture(number))
    source.write("tone.wav", tone())
    source.write(BROKEN, b"\xff\xd8\xff\xe0\x00\x10JFIF cut off here")
    labels = root / "labels"
    labels.mkdir()
    (labels / "boxes.json").write_text(json.dumps(coco(pictures)), encoding="utf-8")
    (labels / "notes.csv").write_text(
        "file,caption\n00.png,a first box\n01.png,a second box\n", encoding="utf-8"
    )
    source.write_spec(
        name="tiny",
        home="home",
        media=[{"name": "cam", "from": "media"}],
        metadata=[
            {"name": "boxes", "from": "labels/boxes.json"},
            {"name": "notes", "from": "labels/notes.csv"},
        ],
        columns=COLUMNS,
        exports=EXPORTS,
    )
    return source


def picture(number: int) -> bytes:
    """A PNG of 64 x 48 pixels; every number gives other bytes."""
    image = Image.new("RGB", (64, 48), (number * 37 % 256, number * 91 % 256, 120))
    pen = ImageDraw.Draw(image)
    left, top = number % 40, number // 40 % 30
    pen.rectangle((left, top, left + 20, top + 15), fill=(250, 240, number % 256))
    data = io.BytesIO()
    image.save(data, "PNG")
    return data.getvalue()


def tone() -> bytes:
    """A quarter of a second of sound."""
    data = io.BytesIO()
    with wave.open(data, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(b"".join((i * 997 % 4001).to_bytes(2, "little") for i in range(2000)))
    return data.getvalue()


def coco(pictures: int = PICTURES) -> dict[str, Any]:
    """One box a picture, and one of a picture that is not there."""
    names = [f"{number:02d}.png" for number in range(pictures)] + ["nowhere.png"]
    return {
        "images": [
            {"id": i, "file_name": name, "width": 64, "height": 48} for i, name in enumerate(names)
        ],
        "annotations": [
            {"id": i, "image_id": i, "category_id": 1 + i % 2, "bbox": [1, 2, 20, 15]}
            for i in range(len(names))
        ],
        "categories": [{"id": 1, "name": "car"}, {"id": 2, "name": "bus"}],
    }
