"""The dataset spec: the one file a user writes (``dataset.yaml``), as pydantic models.

What the language knows but this version does not do yet is refused with a clear word.
"""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from trainset.errors import SpecError
from trainset.model import Protection, StoreOptions
from trainset.spec_metadata import NAME, Share, SpecModel, Words
from trainset.spec_metadata import MetadataSource as MetadataSource
from trainset.stores.bandwidth import parse_bandwidth
from trainset.stores.urls import has_secret

MatchMethod = Literal["key", "path", "near", "filename", "sha256"]
ColumnOp = Literal["image_info", "thumbnail", "phash", "ocr", "open_clip"]

_SIZE = r"\s*(\d+(?:\.\d+)?)\s*([kKMGT]?)(i?)B?\s*"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _duration(value: Any) -> Any:
    """``10m``, ``90s``, ``2h``, ``1d`` or seconds."""
    if isinstance(value, str) and (m := re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhd])\s*", value)):
        return timedelta(seconds=float(m[1]) * _UNITS[m[2]])
    if isinstance(value, int | float):
        return timedelta(seconds=value)
    return value


def _bytes(value: Any) -> Any:
    """``64MB`` (10**6), ``1.5GiB`` (2**30), or a number of bytes."""
    if isinstance(value, str) and (
        m := re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kKMGT]?)(i?)B?\s*", value)
    ):
        step = 1024 if m[3] else 1000
        return int(float(m[1]) * step ** " KMGT".index(m[2].upper() or " "))
    return value


Bytes = Annotated[int, BeforeValidator(_bytes), Field(ge=0)]


Duration = Annotated[timedelta, BeforeValidator(_duration)]


class MediaSource(SpecModel):
    """One place media come from; keys read ``<name>/<path>``."""

    name: str = Field(pattern=NAME)
    from_: str = Field(
        alias="from",
        description="a folder; s3://bucket/prefix or b2://bucket/prefix; a list of URLs (a file or "
        "an http(s) URL: urls.txt, or .csv, .jsonl, .parquet with a column url); or any url that "
        "fsspec has a driver for: gs://, abfs://, hdfs://, sftp://, webdav://, zip://…",
    )
    include: tuple[str, ...] = ("**/*",)
    exclude: tuple[str, ...] = ()
    min_age: Duration = timedelta(0)
    mode: Literal["copy", "reference"] = Field(
        default="copy",
        description="copy: into the home, named by content; reference: objects of a bucket stay "
        "where they are, pinned by version id and ETag",
    )
    hash: bool = Field(
        default=True,
        description="reference only. true: objects up to 64 MiB are read once, hashed and looked "
        "into, of larger ones just what tells their kind; false: no byte is read, a file's kind is "
        "what its name says, and computing fills in the rest",
    )

    @model_validator(mode="after")
    def _referable(self) -> MediaSource:
        scheme = self.from_.split("://", 1)[0].lower() if "://" in self.from_ else "file"
        if self.mode == "reference" and scheme not in ("s3", "b2", "file"):
            raise ValueError(
                f"mode: reference pins objects of a bucket (s3://, b2://) or files of a folder; "
                f"{scheme}:// keeps no version to pin, so its files are copied: mode: copy"
            )
        if self.mode == "copy" and not self.hash:
            raise ValueError(
                "hash: false goes with mode: reference; a copy is named by its sha256, which is "
                "always made"
            )
        return self

    @field_validator("from_")
    @classmethod
    def _no_secret(cls, value: str) -> str:
        # The spec is committed: a password in it could never be taken back.
        if "://" in value and has_secret(value):
            raise PydanticCustomError(
                "secret",
                "a password or signature in the url would be committed with the spec; leave it out "
                "(fsspec's drivers read FSSPEC_<SCHEME>_PASSWORD and their own settings)",
            )
        return value


class RouteSpec(SpecModel):
    """One rule: which files it takes (all that is said must fit), and where they go.

    Rules are tried in order, and the first that fits takes the file. ``path``, ``source``, ``mime``
    and sizes are known from the listing (``mime`` by the name until the file is read); ``where``
    may also ask for what a look into the file says. Sizes are inclusive.
    """

    name: str = Field(pattern=NAME)
    path: Words = Field(default=(), description="globs on the path in its source: **/*.mp4")
    source: Words = Field(default=(), description="names of `media:` entries")
    mime: Words = Field(default=(), description="video/*, image/png")
    min_size: Bytes | None = None
    max_size: Bytes | None = None
    where: str | None = Field(
        default=None, description="SQL over key, path, source, size, mime, modality, width, …"
    )
    to: str | None = Field(default=None, description="another bucket or folder for the bytes")
    prefix: str | None = Field(default=None, description="folder below the media of its place")
    protect: Protection | None = None
    skip: str | None = Field(default=None, description="take no file; says why")

    @model_validator(mode="after")
    def _one_end(self) -> RouteSpec:
        if self.skip is not None and (self.to or self.prefix or self.protect):
            raise ValueError("a rule that skips has no `to`, `prefix` or `protect`")
        if self.max_size is not None and self.max_size < (self.min_size or 0):
            raise ValueError("max_size is below min_size, so the rule would take nothing")
        return self

    @field_validator("where")
    @classmethod
    def _condition(cls, where: str | None) -> str | None:
        if where is not None:
            from trainset.transfer.conditions import parse_condition  # late: it needs a SQL parser

            parse_condition(where)
        return where

    @field_validator("mime")
    @classmethod
    def _kinds(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        if odd := [p for p in patterns if p.count("/") != 1]:
            raise ValueError(f"{odd[0]!r} is no mime type; write it as in video/* or image/png")
        return patterns

    @field_validator("to")
    @classmethod
    def _place(cls, to: str | None) -> str | None:
        if to is not None and to.startswith("block:"):
            raise ValueError(
                "rules do not take blocks in this version; write the url of a bucket that the "
                "dataset's credentials open, or a folder"
            )
        return to

    @field_validator("prefix")
    @classmethod
    def _folder(cls, prefix: str | None) -> str | None:
        if prefix is None:
            return None
        parts = prefix.strip("/").split("/")
        if prefix.startswith("/") or any(part in ("", ".", "..") for part in parts):
            raise ValueError("a prefix is a folder like raw/video: no leading /, no . or ..")
        return "/".join(parts)


class TransferSpec(SpecModel):
    """How media move."""

    routes: tuple[RouteSpec, ...] = ()
    unmatched: Literal["home", "skip", "fail"] | None = Field(
        default=None, description="files that no rule takes; must be said where there are rules"
    )
    verify: Literal["L1", "L2", "L3", "L4"] = Field(
        default="L1",
        description="L1 the store checks each upload; L2 also compares a listing; L3 also reads "
        "objects back; L4 also reads the sources again",
    )
    sample: Share = Field(default=1.0, description="share of files that L3 and L4 read")
    sender: Literal["auto", "fast", "boto3"] = "auto"
    requests_per_second: float = Field(default=450.0, gt=0)
    bandwidth: str | None = Field(
        default=None, description="50MB/s, or a timetable: 08:00 10MB/s, 18:00 off"
    )
    ledger: str | None = Field(
        default=None, description="block of a PostgreSQL ledger, when several hosts transfer"
    )

    @field_validator("bandwidth")
    @classmethod
    def _readable(cls, text: str | None) -> str | None:
        if text is not None:
            parse_bandwidth(text)
        return text

    @model_validator(mode="after")
    def _unmatched(self) -> TransferSpec:
        if self.routes and self.unmatched is None:
            raise ValueError("with routes, say what becomes of files that no rule takes: unmatched")
        names = [route.name for route in self.routes]
        if twice := [n for n in names if names.count(n) > 1]:
            raise ValueError(f"routes: the name {twice[0]!r} is used twice; names are unique")
        return self


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
    name: str = Field(pattern=NAME)
    home: str
    versions: Literal["git"] = "git"
    credentials: str | None = Field(default=None, description="name of a Prefect block")
    media: tuple[MediaSource, ...] = Field(min_length=1)
    transfer: TransferSpec = TransferSpec()
    metadata: tuple[MetadataSource, ...] = ()
    align: tuple[MatchMethod, ...] = ("key", "path", "near", "filename", "sha256")
    columns: dict[str, ColumnSpec] = Field(default_factory=dict)
    gate: GateSpec = GateSpec()
    exports: dict[str, ExportSpec] = Field(default_factory=dict)
    protect: Protection = Protection()
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
        known = {m.name for m in self.media}
        for route in self.transfer.routes:
            if odd := [name for name in route.source if name not in known]:
                raise ValueError(
                    f"transfer.routes: rule {route.name!r} asks for the source {odd[0]!r}; "
                    f"the sources under media: are {', '.join(sorted(known))}"
                )
        return self

    @property
    def store_options(self) -> StoreOptions:
        """How the home's store is used."""
        return StoreOptions(
            sender=self.transfer.sender,
            requests_per_s=self.transfer.requests_per_second,
            bandwidth=self.transfer.bandwidth,
            protection=self.protect,
        )

    def to_yaml(self) -> str:
        """The spec as a user would write it: defaults left out."""
        data = self.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        return yaml.safe_dump(data, sort_keys=False, allow_unicode=True)


# Known words of the language that a later version does; refused by name.
LATER = {
    "views": "views (frames, pages, chunks)",
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
        # Beside a secret nothing else is told: other messages show what was found.
        errors = [e for e in err.errors() if e["type"] == "secret"] or err.errors()
        raise SpecError("\n".join(f"{origin}: {_explain(e)}" for e in errors)) from None
    return spec.model_copy(
        update={
            "home": _absolute(spec.home, folder),
            "media": tuple(
                m.model_copy(update={"from_": _absolute(m.from_, folder)}) for m in spec.media
            ),
            "transfer": spec.transfer.model_copy(
                update={"routes": tuple(_placed(r, folder) for r in spec.transfer.routes)}
            ),
            "metadata": tuple(
                m.model_copy(update={"from_": _absolute(m.from_, folder)}) for m in spec.metadata
            ),
        }
    )


def _placed(route: RouteSpec, folder: Path) -> RouteSpec:
    return route if not route.to else route.model_copy(update={"to": _absolute(route.to, folder)})


def _absolute(place: str, folder: Path) -> str:
    return (
        place
        if "://" in place or place.startswith("block:")
        else str((folder / Path(place).expanduser()).resolve())
    )


def _explain(error: Any) -> str:
    parts = [str(p) for p in error["loc"]]
    where = ".".join(parts) or "(top)"
    if error["type"] == "secret":
        return f"{where}: {error['msg']}"  # never the value
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
