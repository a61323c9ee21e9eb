"""``thumbnail``: a small JPEG in the column's destination; the cell holds its uri."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from PIL import Image
from pydantic import Field

from trainset.compute.base import Function
from trainset.compute.context import BuildContext, Params, no_destination
from trainset.media.asset import Asset
from trainset.model import Modality

QUALITY = 85


class ThumbnailParams(Params):
    size: int = Field(default=256, ge=16, le=4096, description="longer side, pixels")


class Thumbnail:
    """The picture, at most ``size`` pixels large; of a video the first frame, of a PDF page one.

    The file lies at ``<to>/<aa>/<sha256 of the JPEG>.jpg`` in the home; the value is that uri,
    relative to the home. Smaller pictures are not enlarged.
    """

    Params = ThumbnailParams

    modalities: frozenset[Modality] = frozenset({"image", "video", "document"})
    output = pa.string()
    batch_size = 256
    seconds_per_item = 0.02

    def __init__(self, params: ThumbnailParams, context: BuildContext) -> None:
        self.size = params.size
        self.folder = (context.to or "thumbs").strip("/")
        self._put = context.put
        self.function = Function(
            operator="thumbnail",
            version="1",
            params={"size": self.size, "quality": QUALITY, "to": self.folder},
            output=str(self.output),
        )

    def setup(self) -> None:
        if self._put is no_destination:
            no_destination("", b"", "")

    def prepare(self, asset: Asset) -> str:
        small = asset.pil().copy()
        small.thumbnail((self.size, self.size), Image.Resampling.LANCZOS, reducing_gap=3.0)
        out = io.BytesIO()
        small.save(out, "JPEG", quality=QUALITY, optimize=True)
        data = out.getvalue()
        sha256 = hashlib.sha256(data).hexdigest()
        uri = f"{self.folder}/{sha256[:2]}/{sha256}.jpg"
        self._put(uri, data, sha256)
        return uri

    def compute(self, batch: Sequence[Any]) -> Sequence[Any]:
        return batch
