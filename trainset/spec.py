"""The dataset spec: the one file a user writes (``dataset.yaml``), as pydantic models.

What the language knows but this version does not do yet is refused with a clear word.
"""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from trainset.errors import SpecError

MatchMethod = Literal["key", "path", "near", "filename", "sha256"]
ColumnOp = Literal["image_info", "thumbnail", "phash", "ocr", "open_clip"]

_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _duration(value: Any) -> Any:
    """``10m``, ``90s``, ``2h``, ``1d`` or seconds."""
    if isinstance(value, str) and (m := re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhd])\s*", value)):
        return timedelta(seconds=float(m[1]) * _UNITS[m[2]])
    if isinstance(value, int | float):
        return timedelta(seconds=value)
    return value


def _share(value: Any) -> Any:
    """``1%`` or a number from 0 to 1."""
    if isinstance(value, str) and (m := re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*%\s*", value)):
        return float(m[1]) / 100
    return value


Duration = Annotated[timedelta, BeforeValidator(_duration)]
Share = Annotated[float, BeforeValidator(_share), Field(ge=0, le=1)]


class SpecModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class MediaSource(SpecModel):
    """One place media come from; keys read ``<name>/<path>``."""

    name: str = Field(pattern=_NAME)
    from_: str = Field(
        alias="from", description="a folder, s3://bucket/prefix or b2://bucket/prefix"
    )
    include: tuple[str, ...] = ("**/*",)
    exclude: tuple[str, ...] = ()
    min_age: Duration = timedelta(0)
    mode: Literal["copy"] = "copy"


class MetadataSource(SpecModel):
    """One place labels come from."""

    name: str = Field(pattern=_NAME)
    from_: str = Field(alias="from", description="a file, or a folder of label files")
    format: Literal["coco", "csv", "jsonl", "json"] | None = None  # None: recognised by content
    media_column: str | None = Field(
        default=None, description="the column that names the medium (tables); None: found"
    )


class ColumnSpec(SpecModel):
    """One computed column; unknown words are parameters of its operator."""

    model_config = ConfigDict(frozen=True, extra="allow")

    op: ColumnOp
    where: str | None = None
    index: Literal["cosine", "text"] | None = None
    to: str | None = Field(default=None, description="folder for generated media, in the home")

    @property
    def params(self) -> dict[str, Any]:
        return dict(self.__pydantic_extra__ or {})


class GateSpec(SpecModel):
    """Main moves only when this holds; without numbers the gate only reports."""

    unreadable: Share | None = None
    orphan_records: Share | None = None
    labels_changed: Share | None = None


class SplitSpec(SpecModel):
    """Stable hash split: a sample's split depends on its group, the seed and the shares only."""

    train: Share = 1.0
    val: Share = 0.0
    test: Share = 0.0
    by: str = Field(
        default="sha256",
        description="column of media whose value keeps samples together, or source (of the key)",
    )
    seed: int = 0

    @model_validator(mode="after")
    def _whole(self) -> SplitSpec:
        if abs(self.train + self.val + self.test - 1) > 1e-9:
            raise ValueError(
                f"train + val + test is {self.train + self.val + self.test:g}; it must be 1"
            )
        return self


class ExportSpec(SpecModel):
    format: Literal["webdataset", "huggingface"]
    table: Literal["media"] = "media"
    where: str | None = None
    fields: dict[str, str] = Field(
        default_factory=lambda: {"media": "media", "json": "annotations"},
        description="name in the sample: media, annotations, a column, or annotations.<column>",
    )
    split: SplitSpec = SplitSpec()
    shard_size: int = Field(default=256 * 2**20, ge=2**16, description="bytes")


class DatasetSpec(SpecModel):
    name: str = Field(pattern=_NAME)
    home: str
    versions: Literal["git"] = "git"
    credentials: str | None = Field(default=None, description="name of a Prefect block")
    media: tuple[MediaSource, ...] = Field(min_length=1)
    metadata: tuple[MetadataSource, ...] = ()
    align: tuple[MatchMethod, ...] = ("key", "path", "near", "filename", "sha256")
    columns: dict[str, ColumnSpec] = Field(default_factory=dict)
    gate: GateSpec = GateSpec()
    exports: dict[str, ExportSpec] = Field(default_factory=dict)
    tag: str = "v{n}"

    @model_validator(mode="after")
    def _unique(self) -> DatasetSpec:
        for what, names in (
            ("media", [m.name for m in self.media]),
            ("metadata", [m.name for m in self.metadata]),
        ):
            twice = sorted({n for n in names if names.count(n) > 1})
            if twice:
                raise ValueError(f"{what}: the name {twice[0]!r} is used twice; names are unique")
        return self

    def to_yaml(self) -> str:
        """The spec as a user would write it: defaults left out."""
        data = self.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        return yaml.safe_dump(data, sort_keys=False, allow_unicode=True)


# Known words of the language that a later version does; refused by name.
LATER = {
    "views": "views (frames, pages, chunks)",
    "protect": "Object Lock protection",
    "gate.approve": "human approval",
}


def load_spec(path: Path) -> DatasetSpec:
    """Read and check ``dataset.yaml``; relative folders are taken from the file's own folder.

    Raises:
        SpecError: names the field, what was found and what is allowed; one line a fault.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as err:
        raise SpecError(f"{path}: there is no such file; write one, see README 'The spec'") from err
    except yaml.YAMLError as err:
        raise SpecError(f"{path}: this is not YAML: {err}; mend that line") from err
    if not isinstance(data, dict):
        raise SpecError(
            f"{path}: a spec is a mapping that starts with 'name:'; this is {data!r:.40}"
        )
    return parse_spec(data, folder=path.parent, origin=str(path))


def parse_spec(data: dict[str, Any], *, folder: Path, origin: str = "spec") -> DatasetSpec:
    """As ``load_spec``, for a parsed mapping."""
    try:
        spec = DatasetSpec.model_validate(data)
    except ValidationError as err:
        raise SpecError("\n".join(f"{origin}: {_explain(e)}" for e in err.errors())) from None
    return spec.model_copy(
        update={
            "home": _absolute(spec.home, folder),
            "media": tuple(
                m.model_copy(update={"from_": _absolute(m.from_, folder)}) for m in spec.media
            ),
            "metadata": tuple(
                m.model_copy(update={"from_": _absolute(m.from_, folder)}) for m in spec.metadata
            ),
        }
    )


def _absolute(place: str, folder: Path) -> str:
    return place if "://" in place else str((folder / Path(place).expanduser()).resolve())


def _explain(error: Any) -> str:
    parts = [str(p) for p in error["loc"]]
    where = ".".join(parts) or "(top)"
    found = error.get("input")
    for word, meaning in LATER.items():
        if re.sub(r"\.\d+", "", where) == word:
            return f"{where}: this version does not do {meaning} yet; take the field out"
    kind, context = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return f"{where}: unknown field, found {found!r:.60}; take it out or mend its name"
    if kind == "missing":
        return f"{where}: missing; every dataset needs it"
    if kind == "literal_error":
        return f"{where}: found {found!r:.60}; this version takes {context.get('expected')}"
    return f"{where}: found {found!r:.60}; {error['msg'].removeprefix('Value error, ')}"
