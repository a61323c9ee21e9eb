"""The words of ``metadata:`` in the spec: where labels and records come from, and how they sync."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import unquote

from pydantic import BeforeValidator, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from trainset.spec_connectors import (
    AIRBYTE,
    DLT,
    OF_CONNECTORS,
    absolute,
    connector_of,
    connector_words,
    placed_connector,
    placed_program,
)
from trainset.spec_words import NAME, Duration, Share, SpecModel, Words
from trainset.stores.urls import has_secret

BLOCK = "block:"  # how a spec names what flows look up on the Prefect server
DATABASES = (
    *("postgresql", "postgres", "sqlite"),
    *("mysql", "mariadb", "mssql", "oracle", "duckdb", "snowflake", "bigquery", "redshift"),
)

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
            freeze: the run fails.
        columns: new ones are added, ignored, or (freeze) fail the run.
        max_quarantined: share of the table's rows above which the run fails before it writes.
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
        "sqlite:///file.db, a url of SQLAlchemy, block:<name> of a database, or {airbyte: …}: a "
        "connector's name, the path of an executable, or a low-code manifest; or {dlt: …}: "
        "file.py:function or package.module:function of a dlt source",
    )
    format: (
        Literal["coco", "csv", "jsonl", "json", "parquet", "xlsx", "yolo", "voc", "open-images"]
        | Literal["label-studio", "cvat", "labelbox", "hf-folder", "subtitles"]
        | Literal["label-studio-api"]  # a server, not a file
        | None
    ) = None  # None: recognised by content
    media_column: str | None = Field(
        default=None, description="the column that names the medium (tables); None: found"
    )
    sheet: str | None = Field(default=None, description="of a workbook; None: the first")
    config: str | None = Field(
        default=None, description="of a connector: block:<name>, or a JSON file without secrets"
    )
    cdk: str | None = Field(
        default=None,
        description="what runs a manifest or dlt source; None: the airbyte-cdk or dlt installed",
    )
    tables: Words = Field(
        default=(), description="of a database (table:, tables:) or connector (stream:, streams:)"
    )
    key: Words = Field(default=(), description="columns that identify a row; (): as the source has")
    cursor: str | None = Field(default=None, description="column that grows with every change")
    lag: Duration | None = Field(
        default=None,
        description="how far behind the cursor late rows may appear: 10m, or units of a number",
    )
    mode: SyncMode | None = Field(
        default=None, description="None: incremental-upsert with a key, else full-overwrite"
    )
    deletes: Literal["ignore", "detect"] | None = Field(
        default=None, description="None: detect in mode incremental-upsert"
    )
    max_deleted: Share = Field(
        default=0.2, description="share of a table's rows above which deletes are not believed"
    )
    columns: dict[str, ColumnRule] = Field(default_factory=dict)
    where: str | None = Field(default=None, description="SQL over the source's columns")
    contract: Annotated[ContractSpec, BeforeValidator(_contract)] = ContractSpec()
    salt: str | None = Field(
        default=None,
        description="of hashed columns: block:<name>; None: the variable TRAINSET_HASH_SALT",
    )

    @property
    def is_tables(self) -> bool:
        """Whether its streams are tables with columns of their own, not files of labels."""
        return self.from_.startswith((BLOCK, AIRBYTE, DLT)) or self._scheme in DATABASES

    @property
    def connector(self) -> str | None:
        """The connector, executable, manifest or ``dlt:`` source that is read; None: it is none."""
        return connector_of(self.from_)

    @property
    def _scheme(self) -> str:
        return self.from_.split(":", 1)[0].split("+", 1)[0].lower() if ":" in self.from_ else ""

    @model_validator(mode="before")
    @classmethod
    def _one_table(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        said = [word for word in ("table", "tables", "stream", "streams") if word in data]
        if len(said) > 1:
            raise ValueError(f"say {said[0]}: or {said[1]}:, not both")
        plain = {name: value for name, value in data.items() if name not in said}
        return plain | ({"tables": data[said[0]]} if said else {})

    @model_validator(mode="before")
    @classmethod
    def _connector_words(cls, data: Any) -> Any:
        if not isinstance(data, dict) or not isinstance(data.get("from"), dict):
            return data
        return connector_words(data)

    @field_validator("from_")
    @classmethod
    def _no_secret(cls, value: str) -> str:
        # The spec is committed: a password in it could never be taken back.
        login = re.search(r"://[^@\s]*:[^\s]*@", value)
        if "://" in value and (login or has_secret(value) or _hides_password(value)):
            raise PydanticCustomError(
                "secret",
                "a password or signature in the url would be committed with the spec; leave it out "
                "and save a block (from: block:<name>), or set PGPASSWORD or ~/.pgpass",
            )
        return value

    @field_validator("salt")
    @classmethod
    def _named_salt(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(BLOCK):
            raise PydanticCustomError(
                "secret",
                "a salt in the spec would be committed with it; say salt: block:<name>, or leave "
                "it out and set TRAINSET_HASH_SALT",
            )
        return value

    @model_validator(mode="after")
    def _fits(self) -> MetadataSource:
        if not self.is_tables:
            if said := sorted(self.model_fields_set & _OF_TABLES):
                raise ValueError(
                    f"{said[0]}: is said of tables of a database (from: block:…, postgresql://…, "
                    f"sqlite:///…); {self.from_!r} holds files"
                )
            return self
        if self.format is not None:
            raise ValueError("format: is said of files; a database says itself what it holds")
        if self.sheet is not None:
            raise ValueError("sheet: is said of workbooks; a database has tables")
        if self.connector is None and (said := sorted(self.model_fields_set & OF_CONNECTORS)):
            raise ValueError(f"{said[0]}: is said of connectors (from: {{airbyte: …}})")
        if self.connector is not None and self.lag is not None:
            raise ValueError("lag: is said of databases; a connector looks after its own cursor")
        if not self.tables:
            what = "tables" if self.connector is None else "streams"
            raise ValueError(f"{what}: missing; name the {what} to sync, as in {what}: [reviews]")
        if self.deletes == "detect" and self.mode not in (None, "incremental-upsert"):
            raise ValueError("deletes: detect goes with mode: incremental-upsert")
        if self.lag is not None and self.cursor is None:
            raise ValueError("lag: goes with a cursor; name its column (cursor:)")
        if odd := [c for c in self.key if (r := self.columns.get(c)) is not None and r.drop]:
            raise ValueError(f"columns: {odd[0]!r} is part of the key and cannot be dropped")
        return self

    @field_validator("where")
    @classmethod
    def _condition(cls, where: str | None) -> str | None:
        if where is not None:
            # late: it needs a SQL parser
            from trainset.metadata.tables.row_filter import check_filter

            check_filter(where)
        return where

    def placed(self, folder: Path) -> MetadataSource:
        """The same with a relative file or folder taken from ``folder``."""
        if self.from_.startswith("sqlite:///"):
            path, mark, options = self.from_.removeprefix("sqlite:///").partition("?")
            made = f"sqlite:///{absolute(path, folder)}{mark}{options}"
        elif self.connector is not None:
            return self._connector_placed(self.connector, folder)
        elif self.is_tables or "://" in self.from_:
            return self
        else:
            made = absolute(self.from_, folder)
        return self.model_copy(update={"from_": made})

    def _connector_placed(self, connector: str, folder: Path) -> MetadataSource:
        placed = {"from_": placed_connector(connector, folder)}
        if self.config is not None and not self.config.startswith(BLOCK):
            placed["config"] = absolute(self.config, folder)
        if self.cdk is not None:
            placed["cdk"] = placed_program(self.cdk, folder)
        return self.model_copy(update=placed)


_OF_TABLES = {
    *("tables", "key", "cursor", "lag", "mode", "deletes", "max_deleted", "columns", "where"),
    *("contract", "salt", "config", "cdk"),
}


def _hides_password(url: str) -> bool:
    """Whether an option holds one inside, as ODBC's connection strings do."""
    return re.search(r"[?&;](.*)\b(pwd|password)\s*=", unquote(url), re.IGNORECASE) is not None
