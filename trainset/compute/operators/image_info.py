"""``image_info``: what the file's header says, and two cheap numbers on how it looks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import ExifTags, Image

from trainset.compute.base import Function
from trainset.compute.context import BuildContext, NoParams
from trainset.media.asset import Asset
from trainset.media.pictures import opened
from trainset.model import Modality

LOOK_EDGE = 256  # pixels of the longer side that brightness and sharpness are measured at


class ImageInfo:
    """Header facts, mean brightness and sharpness of an image.

    Brightness is the mean of the luma, 0 (black) to 255 (white). Sharpness is the variance of the
    Laplacian of the luma; compare it between images of one dataset, it has no absolute meaning.
    ``taken_at`` is the camera's own clock, ISO 8601 without a zone, as EXIF has none.
    """

    Params = NoParams

    modalities: frozenset[Modality] = frozenset({"image"})
    output = pa.struct(
        [
            pa.field("format", pa.string()),
            pa.field("mode", pa.string()),
            pa.field("orientation", pa.int32()),
            pa.field("taken_at", pa.string()),
            pa.field("camera", pa.string()),
            pa.field("brightness", pa.float32()),
            pa.field("sharpness", pa.float32()),
        ]
    )
    batch_size = 256
    seconds_per_item = 0.01

    def __init__(self, params: NoParams, context: BuildContext) -> None:
        self.function = Function(
            operator="image_info",
            version="1",
            params={"look_edge": LOOK_EDGE},
            output=str(self.output),
        )

    def setup(self) -> None:
        return None

    def prepare(self, asset: Asset) -> dict[str, Any]:
        return asset.named(lambda: _header(asset.data)) | _look(asset.pil())

    def compute(self, batch: Sequence[Any]) -> Sequence[Any]:
        return batch


def _header(data: bytes | Path) -> dict[str, Any]:
    with opened(data) as image:
        exif = image.getexif()
        camera = " ".join(
            str(exif[tag]).strip("\0 ")
            for tag in (ExifTags.Base.Make, ExifTags.Base.Model)
            if tag in exif
        )
        taken = exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.DateTimeOriginal)
        return {
            "format": image.format,
            "mode": image.mode,
            "orientation": int(exif.get(ExifTags.Base.Orientation, 1)),
            "taken_at": _iso(taken),
            "camera": camera or None,
        }


def _iso(taken: Any) -> str | None:
    """``2024:05:01 10:00:00`` as ISO 8601; None for anything else (cameras write blanks)."""
    found = re.fullmatch(
        r"(\d{4}):(\d\d):(\d\d) (\d\d:\d\d:\d\d)", str(taken).strip("\0 ") if taken else ""
    )
    return f"{found[1]}-{found[2]}-{found[3]}T{found[4]}" if found else None


def _look(picture: Image.Image) -> dict[str, float]:
    """Integers all the way to the last division: the same bits on every machine."""
    small = picture.copy()
    small.thumbnail((LOOK_EDGE, LOOK_EDGE))
    luma = np.asarray(small.convert("L"), dtype=np.int64)
    found = {"brightness": int(luma.sum()) / luma.size, "sharpness": 0.0}
    if min(luma.shape) >= 3:
        edges = (luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:]) - 4 * luma[
            1:-1, 1:-1
        ]
        total, squares, count = int(edges.sum()), int((edges * edges).sum()), edges.size
        found["sharpness"] = (squares * count - total * total) / (count * count)
    return found
