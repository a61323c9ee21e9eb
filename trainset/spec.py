"""The dataset spec: the one file a user writes (``dataset.yaml``), as pydantic models.

What the language knows but this version does not do yet is refused with a clear word.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field, ValidationError, field_validator, model_validator

from trainset.errors import SpecError
from trainset.model import GIT, VERSIONS, Protection, StoreOptions
from trainset.spec_media import BLOCK, MediaSource, RouteSpec, TransferSpec
from trainset.spec_metadata import MetadataSource
from trainset.spec_words import NAME, Bytes, Duration, Share, SpecModel, Words

__all__ = [
    "Bytes",
    "ColumnOp",
    "ColumnSpec",
    "DatasetSpec",
    "Duration",
    "ExportSpec",
    "GateSpec",
    "MatchMethod",
    "MediaSource",
    "MetadataSource",
    "RouteSpec",
    "Share",
    "SpecModel",
    "SplitSpec",
    "TransferSpec",
    "Words",
    "load_spec",
    "parse_spec",
]

MatchMethod = Literal["key", "path", "near", "filename", "sha256"]
ColumnOp = Literal["image_info", "thumbnail", "phash", "ocr", "open_clip"]


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

    approve: Literal["never", "always", "when_failed"] = Field(
        default="never",
        description="whether somebody is asked before main moves: of every change, or only of one "
        "that the limits here do not let pass",
    )
    unreadable: Share | None = None
    orphan_records: Share | None = None
    labels_changed: Share | None = None
    media_changed: Share | None = Field(
        default=None, description="media whose bytes changed under the same key"
    )
    media_changed_silently: Share | None = Field(
        default=None, description="and whose size and time (or ETag) at the source did not"
    )


class TagLock(SpecModel):
    """Object Lock on all that a tag reaches.

    Attributes:
        days: from the start of the run that made the tag; a later tag extends what it shares.
        mode: governance: a key with bypassGovernance may still delete; compliance: nobody may.
    """

    days: int = Field(ge=1, le=36_500)
    mode: Literal["governance", "compliance"] = "governance"


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
    versions: str = Field(
        default=GIT, description="git, in the home, lakefs://<repository>, or block:<name> of one"
    )
    link_media: Literal["auto", "always", "tags", "never"] = Field(
        default="auto",
        description="show media in the lakeFS repository, by reference; auto: always, and of more "
        "than a million media only for what is tagged; git shows none",
    )
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
    lock_tags: TagLock | None = Field(
        default=None, description="nobody deletes what a tag reaches; needs a bucket with locks"
    )

    @field_validator("versions")
    @classmethod
    def _known_store(cls, value: str) -> str:
        if not re.fullmatch(rf"{VERSIONS}|{BLOCK}.+", value):
            raise ValueError(
                "write git, lakefs://<repository> (3 to 63 lower-case letters, digits and '-'), or "
                "block:<name> of a lakefs-repository"
            )
        return value

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
        import yaml

        data = self.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        return yaml.safe_dump(data, sort_keys=False, allow_unicode=True)


# Known words of the language that a later version does; refused by name.
LATER = {
    "views": "views (frames, pages, chunks)",
}


def load_spec(path: Path) -> DatasetSpec:
    """Read and check ``dataset.yaml``; relative folders are taken from the file's own folder.

    Raises:
        SpecError: names the field, what was found and what is allowed; one line a fault.
    """
    import yaml  # late: a transfer of parsed sources starts without it

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
            "metadata": tuple(m.placed(folder) for m in spec.metadata),
        }
    )


def _placed(route: RouteSpec, folder: Path) -> RouteSpec:
    if not route.to or route.to.startswith(BLOCK):
        return route
    return route.model_copy(update={"to": _absolute(route.to, folder)})


def _absolute(place: str, folder: Path) -> str:
    return place if "://" in place else str((folder / Path(place).expanduser()).resolve())


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
