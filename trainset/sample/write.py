"""``write_sample``: the folder of mixed media and labels that the demo takes without a SOURCE.

It has what real folders have: a duplicate, a picture that is cut off, one that the camera turned,
a label of a picture that is not there. Every label is true: it says what was drawn.
"""

from __future__ import annotations

import csv
import io
import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image

from trainset.sample.paper import make_pdf
from trainset.sample.scenes import SHAPES, Drawn, Scene, caption, draw_scene, random_scene
from trainset.sample.timed import make_video, make_voice

PICTURES = 40
# The things in front: few kinds, several pictures each, so that a search has more than one answer.
KINDS = (
    ("red", "circle"),
    ("blue", "square"),
    ("yellow", "star"),
    ("green", "triangle"),
    ("orange", "ring"),
    ("purple", "cross"),
    ("white", "circle"),
    ("black", "star"),
)
SIZES = ((640, 480), (480, 360), (512, 384), (480, 320), (360, 480))
SIGNS = {4: "OPEN 24 HOURS", 13: "NORTH GATE", 22: "PLATFORM 9", 31: "NO PARKING"}
PNGS = (9, 27)
TURNED = 17  # stored lying on its side, with the EXIF flag that says so
DUPLICATE_OF, CUT_OFF = 2, 35
ORPHAN = "scene-099.jpg"  # labelled, but not in the folder


@dataclass(frozen=True)
class Picture:
    """One drawn picture and what is true of it."""

    name: str
    scene: Scene
    drawn: Drawn
    caption: str


def write_sample(folder: Path, *, seed: int = 7) -> None:
    """Write the sample below ``folder``; the same seed and library versions give the same bytes.

    About 4 MB: ``photos/`` (40 pictures, a duplicate in ``photos/picks/``, one cut off),
    ``documents/`` (a PDF), ``video/``, ``audio/``, ``labels/instances.json`` (COCO boxes; one
    record names a picture that is not there) and ``labels/captions.csv``. Files that are there are
    written over.
    """
    pictures = [_draw(i, seed) for i in range(PICTURES)]
    files: dict[str, bytes] = {}
    for i, picture in enumerate(pictures):
        files[f"photos/{picture.name}"] = _encode(picture.drawn.image, i)
    twin = files[f"photos/{pictures[DUPLICATE_OF].name}"]
    files["photos/picks/best-of-the-week.jpg"] = twin
    whole = files[f"photos/{pictures[CUT_OFF].name}"]
    files[f"photos/{pictures[CUT_OFF].name}"] = whole[: len(whole) * 2 // 5]
    files["documents/field-report.pdf"] = make_pdf()
    files["video/crossing.mp4"] = make_video()
    files["audio/voice.wav"] = make_voice(seed=seed)
    files["labels/instances.json"] = _coco(pictures)
    files["labels/captions.csv"] = _captions(pictures)
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def sample_scenes(seed: int = 7) -> list[tuple[str, Scene]]:
    """Key of each picture (relative to the folder) and its scene, without drawing anything."""
    return [(f"photos/{_name(i)}", _scene(i, seed)[0]) for i in range(PICTURES)]


def _name(number: int) -> str:
    return f"scene-{number + 1:03d}.{'png' if number in PNGS else 'jpg'}"


def _scene(number: int, seed: int) -> tuple[Scene, random.Random]:
    rng = random.Random(seed * 1000 + number)
    return random_scene(rng, main=KINDS[number % len(KINDS)], sign=SIGNS.get(number)), rng


def _draw(number: int, seed: int) -> Picture:
    scene, rng = _scene(number, seed)
    width, height = SIZES[number % len(SIZES)]
    if number in PNGS:
        width, height = width // 2 + 80, height // 2 + 60  # noise does not compress: keep it small
    said = caption(scene, rng)
    return Picture(_name(number), scene, draw_scene(scene, width, height), said)


def _encode(image: Image.Image, number: int) -> bytes:
    out = io.BytesIO()
    if number in PNGS:
        image.save(out, "PNG", optimize=True)
        return out.getvalue()
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "trainset"
    exif[ExifTags.Base.Model] = "Sample"
    if number == TURNED:
        image = image.transpose(Image.Transpose.ROTATE_90)
        exif[ExifTags.Base.Orientation] = 6  # turn clockwise to see it upright
    image.save(out, "JPEG", quality=88, exif=exif)
    return out.getvalue()


def _coco(pictures: list[Picture]) -> bytes:
    """Boxes in upright pixels, as annotators see them; categories are the shapes."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for i, picture in enumerate(pictures, start=1):
        width, height = picture.drawn.image.size
        images.append({"id": i, "file_name": picture.name, "width": width, "height": height})
        drawn = zip(picture.scene.things, picture.drawn.boxes, picture.drawn.areas, strict=True)
        for thing, box, area in drawn:
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": i,
                    "category_id": SHAPES.index(thing.shape) + 1,
                    "bbox": list(box),
                    "area": area,
                    "iscrowd": 0,
                    "attributes": {"color": thing.colour},
                }
            )
    images.append({"id": len(images) + 1, "file_name": ORPHAN, "width": 640, "height": 480})
    annotations.append(
        {
            "id": len(annotations) + 1,
            "image_id": len(images),
            "category_id": 1,
            "bbox": [200, 150, 180, 180],
            "area": 25447,
            "iscrowd": 0,
            "attributes": {"color": "red"},
        }
    )
    categories = [{"id": i + 1, "name": shape} for i, shape in enumerate(SHAPES)]
    content = {
        "info": {"description": "trainset sample"},
        "licenses": [{"id": 1, "name": "CC0-1.0"}],
        "images": images,
        "annotations": annotations,
        "categories": categories,
    }
    return (json.dumps(content, indent=1) + "\n").encode()


def _captions(pictures: list[Picture]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["file", "caption", "ground"])
    for picture in pictures:
        writer.writerow([f"photos/{picture.name}", picture.caption, picture.scene.ground])
    return out.getvalue().encode()
