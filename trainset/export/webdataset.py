"""WebDataset: tar shards that ``webdataset.WebDataset`` reads, with an offset index beside each.

``<split>-00000.tar`` holds, per sample, one file a field: ``<row_id>.<field>``. Owner, mode and
times are fixed, so that the same samples give the same bytes. ``<split>-00000.index.jsonl`` has a
line per sample, ``{"key", "offset", "size", "files": {field: [offset, size]}}`` (bytes in the tar),
so that a reader can pick any sample without walking the tar.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from trainset.errors import SpecError
from trainset.export.base import ExportFile, Sample
from trainset.export.fields import MODALITY_OF_NAME, Field, extension_of
from trainset.export.hashed_file import HashedFile
from trainset.identity import canonical_json

BLOCK = 512
_TEXT = ("txt", "text", "transcript")
_INTEGER = (
    "cls",
    "cls2",
    "class",
    "count",
    "index",
    "inx",
    "id",
)  # webdataset decodes these as int
_JSON_COLUMNS = ("geometry", "attributes")


class WebDatasetWriter:
    """Writes tar shards of about ``shard_bytes`` each; one sample is never divided.

    Raises:
        SpecError: a field whose extension promises what its column does not hold.
    """

    format = "webdataset"

    def __init__(self, fields: Sequence[Field], *, shard_bytes: int) -> None:
        self.fields, self.shard_bytes = list(fields), shard_bytes
        self._names = {f.name for f in fields}
        for field in fields:
            _check_promise(field)

    def write(self, samples: Iterator[Sample], out: Path) -> list[ExportFile]:
        """Write all samples, which arrive grouped by split; shards are listed in their order."""
        files: list[ExportFile] = []
        shard: _Shard | None = None
        for sample in samples:
            parts = self._parts(sample)
            size = sum(_padded(len(data)) + BLOCK for _, data in parts)
            if shard and (shard.split != sample.split or shard.size + size > self.shard_bytes):
                files += shard.close()
                shard = _Shard(
                    out, sample.split, shard.number + 1 if shard.split == sample.split else 0
                )
            shard = shard or _Shard(out, sample.split, 0)
            shard.add(sample.row_id, parts)
        return files + (shard.close() if shard else [])

    def _parts(self, sample: Sample) -> list[tuple[str, bytes]]:
        """(extension, bytes) of one sample, the medium first; a null value gives no file."""
        parts: list[tuple[str, bytes]] = []
        for field in self.fields:
            if field.kind == "media":
                parts.insert(0, (self._media_extension(field.name, sample), sample.media()))
            elif (value := sample.fields.get(field.name)) is not None:
                parts.append((field.name, encode(field, value)))
        return parts

    def _media_extension(self, name: str, sample: Sample) -> str:
        if name != "media":
            return name
        extension = extension_of(sample.mime, sample.key)
        return f"media.{extension}" if extension in self._names else extension


def encode(field: Field, value: Any) -> bytes:
    """One value as the bytes of a file with the field's extension."""
    extension = field.name.rsplit(".", 1)[-1].lower()
    if extension == "npy":
        import numpy as np

        buffer = io.BytesIO()
        # np.save of a fixed dtype and order has no time or path in it: deterministic.
        np.save(buffer, np.asarray(value, dtype=_numpy_dtype(field.type)), allow_pickle=False)
        return buffer.getvalue()
    if isinstance(value, bytes):
        return value
    if extension == "json":
        if field.kind == "annotations" and field.column is None:
            value = [_plain_annotation(a) for a in value]
        return canonical_json(value)
    if isinstance(value, list) and extension in _TEXT:
        return "\n".join(str(v) for v in value).encode()
    if isinstance(value, list | dict):
        return canonical_json(value)
    return str(value).encode()


def _plain_annotation(annotation: dict[str, Any]) -> dict[str, Any]:
    """Without nulls, and with geometry and attributes as JSON instead of text that holds JSON."""
    return {
        name: json.loads(value) if name in _JSON_COLUMNS else value
        for name, value in annotation.items()
        if value is not None
    }


def _check_promise(field: Field) -> None:
    extension = field.name.rsplit(".", 1)[-1].lower()
    if field.kind == "media":
        return
    if extension in _INTEGER and not pa.types.is_integer(field.type):
        raise SpecError(
            f"exports.fields.{field.name}: webdataset reads .{extension} as an integer, and the "
            f"column is {field.type}; name the field txt or json"
        )
    if extension in MODALITY_OF_NAME and not pa.types.is_binary(field.type):
        raise SpecError(
            f"exports.fields.{field.name}: .{extension} takes {MODALITY_OF_NAME[extension]} bytes, "
            f"and the column is {field.type}; take media, or name the field txt"
        )
    if extension == "npy":
        _numpy_dtype(field.type)


def _numpy_dtype(dtype: pa.DataType) -> Any:
    while pa.types.is_list(dtype) or pa.types.is_fixed_size_list(dtype):
        dtype = dtype.value_type
    if not (pa.types.is_integer(dtype) or pa.types.is_floating(dtype)):
        raise SpecError(f"exports.fields: .npy takes numbers, and the column is {dtype}; use json")
    return dtype.to_pandas_dtype()


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


class _Shard:
    """One tar that is being written, and its index."""

    def __init__(self, out: Path, split: str, number: int) -> None:
        self.split, self.number, self.size, self.samples = split, number, 0, 0
        self._out = out
        self._name = f"{split}-{number:05d}"
        self._tar = HashedFile(out / f"{self._name}.tar")
        self._index = HashedFile(out / f"{self._name}.index.jsonl")

    def add(self, key: str, parts: Sequence[tuple[str, bytes]]) -> None:
        start, files = self.size, {}
        for extension, data in parts:
            info = tarfile.TarInfo(f"{key}.{extension}")
            info.size, info.mtime, info.mode = len(data), 0, 0o644
            self._tar.write(info.tobuf(tarfile.USTAR_FORMAT))
            files[extension] = [self.size + BLOCK, len(data)]
            self._tar.write(data)
            self._tar.write(b"\0" * (_padded(len(data)) - len(data)))
            self.size += BLOCK + _padded(len(data))
        line = {"key": key, "offset": start, "size": self.size - start, "files": files}
        self._index.write(canonical_json(line) + b"\n")
        self.samples += 1

    def close(self) -> list[ExportFile]:
        self._tar.write(b"\0" * (2 * BLOCK))
        return [
            self._tar.finish(self._out, samples=self.samples, split=self.split),
            self._index.finish(self._out, split=self.split),
        ]
