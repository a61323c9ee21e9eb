"""What a sample holds: the ``fields`` of an export spec, checked against the table and typed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal

import pyarrow as pa

from trainset.errors import SpecError
from trainset.spec import ExportSpec
from trainset.tables.schema import is_computed_part

# Of an annotation, what training wants; matching and bookkeeping stay in the table.
ANNOTATION = pa.struct(
    [
        pa.field("source", pa.string()),
        pa.field("stream", pa.string()),
        pa.field("record_id", pa.string()),
        pa.field("kind", pa.string()),
        pa.field("class", pa.string()),
        pa.field("bbox", pa.list_(pa.float64())),  # x, y, width, height in pixels
        pa.field("geometry", pa.string()),  # JSON
        pa.field("text", pa.string()),
        pa.field("score", pa.float64()),
        pa.field("attributes", pa.string()),  # JSON
    ]
)
DEFAULT_FIELDS: Mapping[str, str] = ExportSpec(format="webdataset").fields

# The names that readers of each format expect, where the user named none.
_HUGGINGFACE_NAMES = {"media": "media", "json": "annotations"}
_EXTENSIONS = {
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/webp": "webp",
    "image/gif": "gif",
    "image/bmp": "bmp",
    "image/tiff": "tif",
    "image/avif": "avif",
    "video/mp4": "mp4",
    "video/quicktime": "mov",
    "video/webm": "webm",
    "audio/mpeg": "mp3",
    "audio/flac": "flac",
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/ogg": "ogg",
    "application/pdf": "pdf",
}
MODALITY_OF_NAME = {
    **dict.fromkeys(("jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "image"), "image"),
    **dict.fromkeys(("mp4", "mov", "webm", "avi", "mkv", "video"), "video"),
    **dict.fromkeys(("mp3", "wav", "flac", "ogg", "m4a", "audio"), "audio"),
    **dict.fromkeys(("pdf",), "document"),
}


@dataclass(frozen=True)
class Field:
    """One field of a sample.

    Attributes:
        name: in the sample; a file extension in WebDataset, a column in Parquet.
        kind: ``media`` (the bytes), ``annotations`` (a list of dicts, or of one of their values),
            or ``column`` (a value of the media table).
        column: of the annotations or of the media table; None: whole annotations, or the bytes.
        path: names inside a struct column.
        type: of the value.
    """

    name: str
    kind: Literal["media", "annotations", "column"]
    type: pa.DataType
    column: str | None = None
    path: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        """Where the value comes from, as the spec says it."""
        if self.kind == "column":
            return ".".join((str(self.column), *self.path))
        return self.kind if self.column is None else f"{self.kind}.{self.column}"

    def value(self, row: Mapping[str, Any], annotations: Sequence[Mapping[str, Any]]) -> Any:
        """This field of one row; None where the row has none. Not for the media bytes."""
        if self.kind == "annotations":
            if self.column is None:
                return [dict(a) for a in annotations]
            return [a[self.column] for a in annotations if a[self.column] is not None]
        value = row[str(self.column)]
        for part in self.path:
            value = None if value is None else value[part]
        return value


def plan_fields(spec: ExportSpec, schema: pa.Schema) -> list[Field]:
    """The fields of every sample, in the order of the spec.

    Args:
        schema: of the media table at the exported commit.
    Raises:
        SpecError: a name that a sample cannot have, or a column that is not there.
    """
    given = dict(spec.fields)
    if spec.format == "huggingface" and given == DEFAULT_FIELDS:
        given = {_HUGGINGFACE_NAMES[name]: source for name, source in given.items()}
    if not given:
        raise SpecError("exports.fields is empty; name one field at least, e.g. {jpg: media}")
    fields = [_field(name, source, schema) for name, source in given.items()]
    if len({f.name.lower() for f in fields}) < len(fields):
        raise SpecError(f"exports.fields: {sorted(given)} differ in case only; rename one of them")
    if sum(f.kind == "media" for f in fields) > 1:
        raise SpecError("exports.fields: media stands twice; a sample holds its bytes once")
    return fields


def needed_columns(fields: Sequence[Field]) -> list[str]:
    """Columns of the media table that the fields read."""
    return sorted({str(f.column) for f in fields if f.kind == "column"})


def extension_of(mime: str | None, key: str) -> str:
    """The file extension of a medium, without a dot: by its type, else by its name, else bin."""
    known = _EXTENSIONS.get(mime or "")
    named = PurePosixPath(key).suffix.lstrip(".").lower()
    return known or (named if re.fullmatch(r"[a-z0-9]{1,8}", named) else "bin")


def misfit(name: str, modality: str | None) -> str | None:
    """Why a medium of this modality cannot stand in media field ``name``; None when it can."""
    wanted = MODALITY_OF_NAME.get(name.rsplit(".", 1)[-1].lower())
    if wanted is None or wanted == modality:
        return None
    return (
        f"field {name!r} takes {wanted} media and this is {modality or 'unknown'}; add "
        f"\"modality = '{wanted}'\" to the export's where, or name the field media"
    )


def _field(name: str, source: str, schema: pa.Schema) -> Field:
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,39}", name):
        raise SpecError(
            f"exports.fields: {name!r} cannot name a field; use letters, digits, _ and -, "
            "and a dot inside at most (40 characters)"
        )
    if source == "media":
        return Field(name, "media", pa.binary())
    head, *path = source.split(".")
    if head == "annotations":
        return _annotation_field(name, path)
    if head not in schema.names or is_computed_part(head):
        known = [n for n in schema.names if not is_computed_part(n)]
        raise SpecError(
            f"exports.fields.{name}: the media table has no column {head!r}; "
            f"it has media (the bytes), annotations, {', '.join(known)}"
        )
    dtype = schema.field(head).type
    for part in path:
        inner = [dtype.field(i).name for i in range(dtype.num_fields)] if _is_struct(dtype) else []
        if part not in inner:
            raise SpecError(
                f"exports.fields.{name}: {source!r} does not lead to a value; {head!r} is {dtype}"
            )
        dtype = dtype.field(part).type
    return Field(name, "column", dtype, head, tuple(path))


def _annotation_field(name: str, path: list[str]) -> Field:
    if not path:
        return Field(name, "annotations", pa.list_(ANNOTATION))
    inner = [ANNOTATION.field(i).name for i in range(ANNOTATION.num_fields)]
    if len(path) > 1 or path[0] not in inner:
        raise SpecError(
            f"exports.fields.{name}: annotations have no {'.'.join(path)!r}; "
            f"they have {', '.join(inner)}"
        )
    return Field(name, "annotations", pa.list_(ANNOTATION.field(path[0]).type), path[0])


def _is_struct(dtype: pa.DataType) -> bool:
    return bool(pa.types.is_struct(dtype))
