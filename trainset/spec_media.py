"""The words of the dataset spec for media and how they move: ``media:`` and ``transfer:``."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Literal

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from trainset.model import Protection
from trainset.spec_words import NAME, Bytes, Duration, Share, SpecModel, Words
from trainset.stores.bandwidth import parse_bandwidth
from trainset.stores.urls import has_secret

# So that a transfer stays below 300 MB; a fast line with slow replies wants more (512 MiB).
IN_FLIGHT_BYTES = 160 * 2**20

BLOCK = "block:"  # how a rule's `to` names a Prefect block; flows resolve it
_BLOCK_NAME = re.compile(r"block:(?:[a-z0-9-]+/)?[A-Za-z0-9._-]+")


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
    to: str | None = Field(
        default=None,
        description="another place for the bytes: a bucket's url, a folder, or block:<name>",
    )
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
        if to is not None and to.startswith(BLOCK) and not _BLOCK_NAME.fullmatch(to):
            raise ValueError(
                "a block is named as in block:archive (a media-destination), or with its kind as "
                "in block:b2-bucket/raw"
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
    retry_for: Duration = Field(
        default=timedelta(minutes=5),
        description="how long a run goes on trying files that failed for a passing reason, when "
        "all others are done; 0: the next run tries them",
    )
    in_flight: Bytes = Field(
        default=IN_FLIGHT_BYTES,
        ge=2**20,
        description="bytes of files in memory at once, over all batches of a process",
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
