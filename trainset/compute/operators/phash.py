"""``phash``: the 64-bit perceptual hash of a picture; a few bits apart means nearly the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from trainset.compute.base import Function
from trainset.compute.context import BuildContext, NoParams
from trainset.errors import MissingExtra
from trainset.media.asset import Asset
from trainset.model import Modality


class PHash:
    """imagehash's DCT hash, most significant bit first (its hex string read as a number).

    Re-encoding and resizing move 0 to 2 bits, a 5 % crop about 10, another picture about 32; a
    mirrored picture is another picture.
    """

    Params = NoParams

    modalities: frozenset[Modality] = frozenset({"image", "video"})
    output = pa.uint64()
    batch_size = 256
    seconds_per_item = 0.005

    def __init__(self, params: NoParams, context: BuildContext) -> None:
        self.function = Function(
            operator="phash", version="1", params={"bits": 64}, output=str(self.output)
        )

    def setup(self) -> None:
        try:
            import imagehash  # noqa: F401
        except ImportError as err:
            raise MissingExtra("the operator phash", "media") from err

    def prepare(self, asset: Asset) -> int:
        import imagehash

        return int(str(imagehash.phash(asset.pil())), 16)

    def compute(self, batch: Sequence[Any]) -> Sequence[Any]:
        return batch
