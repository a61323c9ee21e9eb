"""Records and media of the alignment benchmark: labels as four tools spell them, some lost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather

from trainset.identity import row_id
from trainset.metadata.records import RECORDS

CLASSES = [f"class {i:02d}" for i in range(80)]
_SHARED = 0.01  # share of media whose name another folder has too
_LATE = 0.05  # share of media that come after their labels
_LOST = 0.005  # share of records whose medium never comes


def make_data(folder: Path, records: int, media: int) -> None:
    """Write ``media.arrow``, ``media_early.arrow`` (without the late ones) and ``records.arrow``.

    Every file is the same in every run. A quarter of the records each spells its medium as a
    relative path, an ``s3://`` address, a bare file name, and a Label Studio upload.
    """
    rng = np.random.default_rng(5)
    table = _media(rng, media)
    early = np.sort(rng.permutation(media)[: media - int(media * _LATE)])
    for name, rows in (
        ("media", table),
        ("media_early", table.take(pa.array(early))),
        ("records", _records(rng, records, table)),
    ):
        feather.write_feather(rows, folder / f"{name}.arrow", compression="uncompressed")


def _media(rng: np.random.Generator, count: int) -> pa.Table:
    numbers = np.arange(count)
    shared = rng.random(count) < _SHARED
    numbers[shared] = numbers[shared] // 500 * 500  # a name that several folders have
    keys = [f"cameras/day-{i % 30:02d}/cam-{i // 500}/{n:08d}.jpg" for i, n in enumerate(numbers)]
    digests = rng.integers(0, 2**63, (count, 4))
    return pa.table(
        {
            "row_id": [row_id(key) for key in keys],
            "key": keys,
            "source_uri": [f"s3://acme-media/{key}" for key in keys],
            "sha256": [f"{a:016x}{b:016x}{c:016x}{d:016x}" for a, b, c, d in digests.tolist()],
            "width": pa.array(np.full(count, 1920), pa.int32()),
            "height": pa.array(np.full(count, 1080), pa.int32()),
            "duration": pa.nulls(count, pa.float64()),
            "modality": ["image"] * count,
        }
    )


def _records(rng: np.random.Generator, count: int, media: pa.Table) -> pa.Table:
    keys = media["key"].to_pylist()
    of = rng.integers(0, len(keys), count)
    lost = rng.random(count) < _LOST
    spelled = [
        _spell(n, keys[m], gone)
        for n, (m, gone) in enumerate(zip(of.tolist(), lost.tolist(), strict=True))
    ]
    boxes = np.empty((count, 4))
    boxes[:, :2] = rng.integers(0, 90_000, (count, 2)) / 100
    boxes[:, 2:] = rng.integers(100, 17_000, (count, 2)) / 100
    columns = {
        "source": ["coco" if n % 4 < 2 else "label-studio" for n in range(count)],
        "stream": [f"part-{n % 4}" for n in range(count)],
        "record_id": [str(1_000_000 + n) for n in range(count)],
        "media_ref": spelled,
        "kind": ["box"] * count,
        "class": pa.array(CLASSES).take(pa.array(rng.integers(0, len(CLASSES), count))),
        "bbox": pa.FixedSizeListArray.from_arrays(pa.array(boxes.reshape(-1)), 4),
        "attributes": ['{"iscrowd":0}' if n % 4 == 0 else None for n in range(count)],
    }
    for name in RECORDS.names:
        columns.setdefault(name, pa.nulls(count))
    return pa.table({name: columns[name] for name in RECORDS.names}).cast(RECORDS)


def _spell(number: int, key: str, lost: bool) -> str:
    if lost:
        key = f"cameras/day-99/gone-{number}.jpg"
    name = key.rpartition("/")[2]
    return (
        key.partition("/")[2],
        f"s3://acme-media/{key}",
        name,
        f"/data/upload/1/{number * 2654435761 % 2**32:08x}-{name}",
    )[number % 4]
