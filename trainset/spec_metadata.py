"""The words of ``metadata:`` in the spec: where labels and records come from, and how they sync."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from trainset.spec_words import NAME, Share, SpecModel, Words
from trainset.stores.urls import has_secret

TABLE_SCHEMES = ("block", "postgresql", "postgres", "sqlite")

SyncMode = Literal["full-overwrite", "full-append", "incremental-append", "incremental-upsert"]


class ColumnRule(SpecModel):
    """What is done to one column of a source before it is stored; columns not named are kept."""

    drop: bool = False
    rename: str | None = Field(default=None, min_length=1)
    hash: bool = Field(default=False, description="keyed hash instead of the value (PII)")

    @model_validator(mode="after")
    def _one_end(self) -> ColumnRule:
        if self.drop and (self.rename or self.hash):
            raise ValueError("a column that is dropped is neither renamed nor hashed")
        return self


class ContractSpec(SpecModel):
    """What happens when a source's columns change.

    Attributes:
        types: a change that loses nothing always widens. Else keep: the stored type stays, and
            values that do not fit become null and are quarantined; widen: the column becomes text;
            freeze: the sync of this table fails.
        columns: new ones are added, ignored, or (freeze) fail the sync of this table.
        max_quarantined: share of the table's rows above which a sync fails before it writes.
    """

    types: Literal["keep", "widen", "freeze"] = "keep"
    columns: Literal["add", "ignore", "freeze"] = "add"
    max_quarantined: Share = 0.01


def _contract(value: Any) -> Any:
    """``contract: freeze`` freezes both; ``keep`` and ``widen`` are said of types."""
    if value == "freeze":
        return {"types": "freeze", "columns": "freeze"}
    return {"types": value} if isinstance(value, str) else value


class MetadataSource(SpecModel):
    """One place labels or records come from: label files, or the tables of a database."""

    name: str = Field(pattern=NAME)
    from_: str = Field(
        alias="from",
        description="a file, a folder of label files, postgresql://user@host/database, "
        "sqlite:///file.db, or block:<name> of a database",
    )
    format: (
        Literal["coco", "csv", "jsonl", "json", "yolo", "voc", "open-images"]
        | Literal["label-studio", "cvat", "labelbox", "hf-folder", "subtitles"]
        | Literal["label-studio-api"]  # a server, not a file
        | None
    ) = None  # None: recognised by content
    media_column: str | None = Field(
        default=None, description="the column that names the medium (tables); None: found"
    )
    tables: Words = Field(default=(), description="of a database; as table: or tables:")
    key: Words = Field(default=(), description="columns that identify a row; (): as the source has")
    cursor: str | None = Field(default=None, description="column that grows with every change")
    mode: SyncMode | None = Field(
        default=None, description="None: incremental-upsert with a key, else full-overwrite"
    )
    deletes: Literal["ignore", "detect"] = "ignore"
    max_deleted: Share = Field(
        default=0.2, description="share of a table's rows above which deletes are not believed"
    )
    columns: dict[str, ColumnRule] = Field(default_factory=dict)
    where: str | None = Field(default=None, description="SQL over the source's columns")
    contract: Annotated[ContractSpec, BeforeValidator(_contract)] = ContractSpec()
    salt: str | None = Field(
        default=None, description="block:<name>, or an environment variable, of the hashes' salt"
    )

    @model_validator(mode="before")
    @classmethod
    def _one_table(cls, data: Any) -> Any:
        if isinstance(data, dict) and "table" in data:
            if "tables" in data:
                raise ValueError("say table: or tables:, not both")
            data = {**data, "tables": data["table"]}
            del data["table"]
        return data

    @field_validator("from_")
    @classmethod
    def _no_secret(cls, value: str) -> str:
        # The spec is committed: a password in it could never be taken back.
        if "://" in value and has_secret(value):
            raise PydanticCustomError(
                "secret",
                "a password or signature in the url would be committed with the spec; leave it out "
                "and save a block (from: block:<name>), or set PGPASSWORD or ~/.pgpass",
            )
        return value

    @model_validator(mode="after")
    def _fits(self) -> MetadataSource:
        said = self.model_fields_set & {
            *("tables", "key", "cursor", "mode", "deletes", "max_deleted", "columns", "where"),
            *("contract", "salt"),
        }
        if not self.is_database and said:
            raise ValueError(
                f"{min(said)}: is said of tables of a database (from: block:…, postgresql://…, "
                f"sqlite:///…); {self.from_!r} holds files"
            )
        if self.is_database and self.format is not None:
            raise ValueError("format: is said of files; a database says itself what it holds")
        if self.is_database and not self.tables:
            raise ValueError("tables: missing; name the tables to sync, as in tables: [reviews]")
        if self.deletes == "detect" and self.mode not in (None, "incremental-upsert"):
            raise ValueError("deletes: detect goes with mode: incremental-upsert")
        if odd := [c for c in self.key if (r := self.columns.get(c)) is not None and r.drop]:
            raise ValueError(f"columns: {odd[0]!r} is part of the key and cannot be dropped")
        return self

    @field_validator("where")
    @classmethod
    def _condition(cls, where: str | None) -> str | None:
        if where is not None:
            from trainset.metadata.row_filter import check_filter  # late: it needs a SQL parser

            check_filter(where)
        return where

    @property
    def is_database(self) -> bool:
        return self.from_.split(":", 1)[0].lower() in TABLE_SCHEMES
