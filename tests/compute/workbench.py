"""A home, a media table of small pictures, an operator that writes down what it computes."""

from __future__ import annotations

import hashlib
import io
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from PIL import Image

from trainset.compute.base import Function, ItemError
from trainset.home import Home, open_home
from trainset.media.asset import Asset
from trainset.model import Modality
from trainset.spec import ColumnSpec
from trainset.tables.base import TableLocation
from trainset.tables.lance_store import LanceTable, LanceTableStore
from trainset.tables.schema import MEDIA, finish_rows


def picture(number: int) -> bytes:
    out = io.BytesIO()
    colour = (number * 37 % 256, number * 91 % 256, number * 13 % 256)
    Image.new("RGB", (24, 16), colour).save(out, "PNG")
    return out.getvalue()


def media_row(home: Home, key: str, data: bytes, **facts: Any) -> dict[str, Any]:
    sha256 = hashlib.sha256(data).hexdigest()
    uri = home.media_uri(sha256)
    home.store.put(uri, data)
    return {
        "key": key,
        "uri": uri,
        "sha256": sha256,
        "size": len(data),
        "mime": "image/png",
        "modality": "image",
        "width": 24,
        "height": 16,
        "source_state": "present",
        "unreadable": None,
    } | facts


def make_home(folder: Path) -> Home:
    return open_home(str(folder / "home"), create=True)


def make_table(home: Home, folder: Path, pieces: Sequence[Sequence[dict[str, Any]]]) -> LanceTable:
    """A media table with one fragment a piece."""
    table = LanceTableStore().create(TableLocation(uri=str(folder / "media.lance")), MEDIA)
    for rows in pieces:
        table.upsert(finish_rows("media", list(rows)))
    return table


class Recorder:
    """Gives the mean red of a picture, and writes the key's sha256 to a file when it computes.

    Keys that contain ``bad`` fail for good, ``flaky`` for now; a batch with ``poison`` fails whole.
    """

    modalities: frozenset[Modality] = frozenset({"image"})
    output = pa.float64()
    seconds_per_item = 0.5

    def __init__(
        self, log: Path, *, version: str = "1", batch_size: int = 4, delay_s: float = 0
    ) -> None:
        self.log, self.batch_size, self.delay_s = log, batch_size, delay_s
        self.function = Function(
            operator="recorder", version=version, params={}, output=str(self.output)
        )

    def setup(self) -> None:
        self.log.touch()

    def prepare(self, asset: Asset) -> tuple[str, float]:
        red = float(asset.pil().getpixel((0, 0))[0])  # type: ignore[index]
        return asset.key, red

    def compute(self, batch: Sequence[tuple[str, float]]) -> Sequence[Any]:
        if len(batch) > 1 and any("poison" in key for key, _ in batch):
            raise RuntimeError("the device is out of memory")
        time.sleep(self.delay_s)
        values: list[Any] = []
        with self.log.open("a") as log:
            for key, red in batch:
                log.write(key + "\n")
                if "bad" in key:
                    values.append(ItemError(kind="op", message="no"))
                elif "flaky" in key:
                    values.append(ItemError(kind="fetch", message="later", retryable=True))
                else:
                    values.append(red)
        return values

    def computed(self) -> list[str]:
        return self.log.read_text().split() if self.log.exists() else []


RED = {"red": ColumnSpec(op="image_info")}  # the spec's op is not looked at: operators are given
