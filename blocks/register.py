"""Save the blocks that a team shares: from the environment, or from a TOML file.

    [b2-credentials.training]
    key_id = "$B2_KEY_ID"                        # $NAME is read from the environment
    application_key = "$B2_APPLICATION_KEY"
    endpoint = "https://s3.us-west-004.backblazeb2.com"

    [b2-bucket.street-scenes]
    bucket_name = "acme-training"
    bucket_folder = "street-scenes"
    credentials = "training"                     # the name of a b2-credentials block

    [media-destination.archive]                  # a bucket with its locks, limits and sender
    bucket_name = "acme-archive"
    credentials = "training"
    lock = "governance"
    lock_days = 365

    [ledger-database.shared]                     # `ledger: shared` in the transfer section
    host = "db.acme.example"
    database = "trainset"
    user = "transfer"
    password = "$LEDGER_PASSWORD"

    [lakefs-repository.street-scenes]            # `versions: block:street-scenes`
    endpoint = "$LAKEFS_ENDPOINT"
    key_id = "$LAKEFS_ACCESS_KEY_ID"
    secret_key = "$LAKEFS_SECRET_ACCESS_KEY"
    repository = "street-scenes"
    storage_namespace = "s3://acme-training/lakefs"

    [local-store.cameras]
    folder = "/mnt/nas/cameras"

    [secret.labels-db]                           # `from: block:labels-db` in the metadata section
    value = "$LABELS_DB_URL"                     # postgresql://user:password@host/database

    [secret.captions-api.value]                  # `config: block:captions-api` of a connector
    url = "https://captions.acme.example"
    token = "$CAPTIONS_TOKEN"

Saving again updates. Done once, in a command: tasks that save one new block at the same time fail
each other.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prefect.blocks.core import Block
from prefect.blocks.system import Secret
from pydantic import ValidationError

from blocks import (
    B2Bucket,
    B2Credentials,
    LakeFSRepository,
    LedgerDatabase,
    LocalStore,
    MediaDestination,
)
from trainset.errors import InputError, NotFound, SpecError

TYPES: dict[str, type[Block]] = {
    "b2-credentials": B2Credentials,  # first: buckets refer to them
    "b2-bucket": B2Bucket,
    "media-destination": MediaDestination,
    "ledger-database": LedgerDatabase,
    "lakefs-repository": LakeFSRepository,
    "local-store": LocalStore,
    "secret": Secret,
}
STORE = """
[b2-credentials.default]
key_id = "$B2_KEY_ID"
application_key = "$B2_APPLICATION_KEY"
endpoint = "$TRAINSET_S3_ENDPOINT"
"""
OWN_KEY = "TRAINSET_SSE_C_KEY"
LAKEFS = """
[lakefs-repository.default]
endpoint = "$LAKEFS_ENDPOINT"
key_id = "$LAKEFS_ACCESS_KEY_ID"
secret_key = "$LAKEFS_SECRET_ACCESS_KEY"
repository = "$LAKEFS_REPOSITORY"
"""
NAMESPACE = "LAKEFS_STORAGE_NAMESPACE"


def register_blocks(file: Path | None = None) -> int:
    """Save the blocks of ``file``, or those that the environment describes.

    The environment's: ``b2-credentials/default``, and ``lakefs-repository/default`` where
    LAKEFS_REPOSITORY says which; that one alone where there is no B2_KEY_ID.

    Returns:
        The exit status: 0.
    Raises:
        SpecError: names block and field of what is wrong in the file; nothing was saved then.
        NotFound: a variable or a block that the file names is not there.
    """
    where = str(file) if file else "the environment"
    try:
        text = file.read_text(encoding="utf-8") if file else _described(os.environ)
        wanted = tomllib.loads(text)
    except (OSError, tomllib.TOMLDecodeError) as err:
        raise InputError(f"{where} cannot be read ({err}); mend it and run again") from err
    blocks = _build(wanted, os.environ)
    for block_type in TYPES.values():
        block_type.register_type_and_schema()
    for name, block in blocks:
        block.save(name, overwrite=True)
        print(f"saved {block._block_type_slug}/{name}")
    return 0


def _described(environment: Mapping[str, str]) -> str:
    """The blocks that the environment describes, as a file would have them."""
    text = ""
    if environment.get("B2_KEY_ID") or not environment.get("LAKEFS_REPOSITORY"):
        own = f'customer_key = "${OWN_KEY}"\n' if environment.get(OWN_KEY) else ""
        text += STORE + own
    if environment.get("LAKEFS_REPOSITORY"):
        place = f'storage_namespace = "${NAMESPACE}"\n' if environment.get(NAMESPACE) else ""
        text += LAKEFS + place
    return text


def _build(wanted: Mapping[str, Any], environment: Mapping[str, str]) -> list[tuple[str, Block]]:
    """All blocks of the file, checked; none is saved before the last one is right."""
    if unknown := sorted(set(wanted) - set(TYPES)):
        raise SpecError(f"[{unknown[0]}]: no such kind of block; there are {', '.join(TYPES)}")
    built: list[tuple[str, Block]] = []
    for slug, block_type in TYPES.items():
        for name, fields in wanted.get(slug, {}).items():
            where = f"[{slug}.{name}]"
            if not isinstance(fields, dict):
                raise SpecError(f"{where}: found {fields!r:.40}; it must be a table of fields")
            values = {key: _value(where, key, fields[key], environment) for key in fields}
            if slug in ("b2-bucket", "media-destination"):
                values["credentials"] = _named(where, values.get("credentials"), built)
            try:
                built.append((name, block_type(**values)))
            except ValidationError as err:
                first = err.errors(include_input=False, include_url=False)[0]
                field = ".".join(str(part) for part in first["loc"])
                raise SpecError(f"{where} {field}: {first['msg']}; mend it in the file") from err
    return built


def _value(where: str, key: str, value: Any, environment: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {n: _value(where, f"{key}.{n}", one, environment) for n, one in value.items()}
    if not (isinstance(value, str) and value.startswith("$")):
        return value
    if not environment.get(value[1:]):
        raise NotFound(f"{where} {key}: the environment variable {value[1:]} is not set; set it")
    return environment[value[1:]]


def _named(where: str, name: Any, built: list[tuple[str, Block]]) -> B2Credentials:
    for other, block in built:
        if other == name and isinstance(block, B2Credentials):
            return block
    try:
        return B2Credentials.load(str(name))
    except ValueError as err:
        raise NotFound(
            f"{where} credentials: no block b2-credentials/{name}, in the file or on the server; "
            "add it to the file"
        ) from err
