"""Hugging Face: Parquet files and a dataset card that ``datasets.load_dataset(folder)`` reads.

``data/<split>-00000-of-00002.parquet`` carry the feature types as schema metadata, written by us:
no ``datasets`` package is needed to export. Media are ``{bytes, path}`` structs: an ``Image``
feature when every sample is an image, a plain struct otherwise. A ``key`` column names the medium.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa

from trainset.errors import SpecError
from trainset.export.base import ExportFile, Sample
from trainset.export.fields import Field
from trainset.export.hashed_file import HashedFile, write_hashed

GROUP_ROWS = 100  # rows a row group: what a viewer or a random reader must fetch at once
GROUP_BYTES = 64 * 2**20  # and at most about this many bytes, which bounds memory
_MEDIA = pa.struct([pa.field("bytes", pa.binary()), pa.field("path", pa.string())])


class HuggingFaceWriter:
    """Writes Parquet shards of about ``shard_bytes`` each, and README.md.

    Args:
        images: every sample is an image, so the media column is an ``Image`` feature.
        card: text of the dataset card below its YAML head.
    """

    format = "huggingface"

    def __init__(
        self, fields: Sequence[Field], *, shard_bytes: int, images: bool, title: str, card: str
    ) -> None:
        self.shard_bytes, self.images, self.title, self.card = shard_bytes, images, title, card
        taken = {f.name for f in fields}
        self._media = next((f.name for f in fields if f.kind == "media"), None)
        columns = {f.name: _MEDIA if f.kind == "media" else f.type for f in fields}
        if self._media == "media" and images and "image" not in taken:
            # the name that viewers and training scripts look for
            self._media = "image"
            columns = {"image" if n == "media" else n: t for n, t in columns.items()}
        self._fields = [f for f in fields if f.kind != "media"]
        self._adds_key = "key" not in taken
        if self._adds_key:
            columns = {"key": pa.string(), **columns}
        self.schema = _schema(columns, self._media if images else None)

    def write(self, samples: Iterator[Sample], out: Path) -> list[ExportFile]:
        """Write all samples, which arrive grouped by split; shards are listed in their order."""
        shards: list[_Shard] = []
        for sample in samples:
            row, size = self._row(sample)
            last = shards[-1] if shards else None
            if last is None or last.split != sample.split or last.size + size > self.shard_bytes:
                if last is not None:
                    last.close()
                shards.append(_Shard(out / "data", sample.split, len(shards), self.schema))
            shards[-1].add(row, size)
        if shards:
            shards[-1].close()
        counts: dict[str, int] = {}
        for shard in shards:
            counts[shard.split] = counts.get(shard.split, 0) + shard.samples
        files = [shard.finish(out, _place(shards, i)) for i, shard in enumerate(shards)]
        return [*files, write_hashed(out, "README.md", self._readme(counts).encode())]

    def _row(self, sample: Sample) -> tuple[dict[str, Any], int]:
        """One row, and about how many bytes it takes."""
        row: dict[str, Any] = {f.name: sample.fields.get(f.name) for f in self._fields}
        if self._adds_key:
            row["key"] = sample.key
        if self._media is None:
            return row, 1024
        data = sample.media()
        row[self._media] = {"bytes": data, "path": PurePosixPath(sample.key).name}
        return row, len(data) + 1024

    def _readme(self, counts: Mapping[str, int]) -> str:
        import yaml

        total = sum(counts.values())
        head = {
            "pretty_name": self.title,
            "license": "unknown",
            "size_categories": [_size_category(total)],
            "configs": [
                {
                    "config_name": "default",
                    "data_files": [
                        {"split": split, "path": f"data/{split}-*.parquet"} for split in counts
                    ],
                }
            ],
        }
        text = yaml.safe_dump(head, sort_keys=False, allow_unicode=True)
        table = "".join(f"| {split} | {n:,} |\n" for split, n in counts.items())
        return (
            f"---\n{text}---\n\n# {self.title}\n\n{self.card}\n\n"
            f"| split | samples |\n| --- | ---: |\n{table}"
        )


class _Shard:
    """One Parquet file that is being written; rows are flushed by row group."""

    def __init__(self, folder: Path, split: str, serial: int, schema: pa.Schema) -> None:
        import pyarrow.parquet as pq

        self.split, self.samples, self.size = split, 0, 0
        self._schema = schema
        self._rows: list[dict[str, Any]] = []
        self._pending = 0
        self._file = HashedFile(folder / f".{serial:05d}.part")
        # Media are compressed already: trying again costs time and saves nothing.
        compression = {
            path: "none" if path.endswith(".bytes") else "zstd" for path in _leaf_paths(schema)
        }
        self._writer = pq.ParquetWriter(
            pa.PythonFile(self._file, mode="w"),
            schema,
            compression=compression,
            use_dictionary=False,
            write_page_index=True,
        )

    def add(self, row: dict[str, Any], size: int) -> None:
        self._rows.append(row)
        self.samples += 1
        self.size += size
        self._pending += size
        if len(self._rows) >= GROUP_ROWS or self._pending >= GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(pa.Table.from_pylist(self._rows, schema=self._schema))
            self._rows, self._pending = [], 0

    def close(self) -> None:
        self._flush()
        self._writer.close()

    def finish(self, root: Path, name: str) -> ExportFile:
        """Give the file its name, which says how many shards its split has."""
        final = self._file.path.with_name(name)
        self._file.path.rename(final)
        self._file.path = final
        return self._file.finish(root, samples=self.samples, split=self.split)


def _place(shards: Sequence[_Shard], index: int) -> str:
    split = shards[index].split
    same = [i for i, shard in enumerate(shards) if shard.split == split]
    return f"{split}-{same.index(index):05d}-of-{len(same):05d}.parquet"


def _schema(columns: Mapping[str, pa.DataType], image: str | None) -> pa.Schema:
    features: dict[str, Any] = {
        name: {"_type": "Image"} if name == image else _feature(name, dtype)
        for name, dtype in columns.items()
    }
    text = json.dumps({"info": {"features": features}})
    return pa.schema(list(columns.items()), metadata={"huggingface": text})


def _feature(name: str, dtype: pa.DataType) -> Any:
    """The Hugging Face feature of an Arrow type, as its JSON."""
    if pa.types.is_struct(dtype):
        inner = [dtype.field(i) for i in range(dtype.num_fields)]
        return {f.name: _feature(name, f.type) for f in inner}
    if pa.types.is_fixed_size_list(dtype):
        feature = _feature(name, dtype.value_type)
        return {"_type": "List", "feature": feature, "length": dtype.list_size}
    if pa.types.is_list(dtype):
        return {"_type": "List", "feature": _feature(name, dtype.value_type)}
    words = {pa.float16(): "float16", pa.float32(): "float32", pa.float64(): "float64"}
    if dtype in words:
        return {"_type": "Value", "dtype": words[dtype]}
    if pa.types.is_timestamp(dtype):
        zone = f", tz={dtype.tz}" if dtype.tz else ""
        return {"_type": "Value", "dtype": f"timestamp[{dtype.unit}{zone}]"}
    if pa.types.is_integer(dtype) or str(dtype) in ("string", "bool", "binary", "large_string"):
        return {"_type": "Value", "dtype": str(dtype)}
    raise SpecError(
        f"exports.fields.{name}: Hugging Face has no feature for {dtype}; leave the field out"
    )


def _leaf_paths(schema: pa.Schema) -> list[str]:
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(schema.empty_table(), sink)
    parquet = pq.ParquetFile(pa.BufferReader(sink.getvalue())).schema
    return [parquet.column(i).path for i in range(len(parquet))]


def _size_category(total: int) -> str:
    for limit, word in ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K")):
        if total < limit:
            return word
    return "100K<n<1M" if total < 1_000_000 else "n>1M"
