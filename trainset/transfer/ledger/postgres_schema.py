"""The tables of ledgers in PostgreSQL: one schema, the rows of many homes."""

from __future__ import annotations

from typing import Any

from trainset.errors import InputError
from trainset.transfer.ledger.postgres_session import Connection, Session

LAYOUT = 1  # in trainset_ledger.layout; newer ones are refused: others may be at work
_LOCK = 7_264_150_116_531_002  # of our own: who makes the tables

# Rows are found by ``id``, 16 bytes of a hash over uri, version and size: an index cannot hold the
# longest uris. ``home`` is a small number; ``homes`` has the url. Texts in "C" order, as in SQLite.
_TABLES = """
CREATE SCHEMA trainset_ledger;
SET LOCAL search_path = trainset_ledger;
CREATE TABLE layout (number int NOT NULL);
INSERT INTO layout VALUES (1);
CREATE TABLE homes (
    home int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    url  text NOT NULL UNIQUE
);
CREATE TABLE files (
    home       int NOT NULL,
    id         bytea NOT NULL,
    source_uri text NOT NULL,
    version    text NOT NULL,
    size       bigint NOT NULL,
    state      text NOT NULL,
    sha256     text,
    uri        text COLLATE "C",
    version_id text,
    facts      text,
    attempts   int NOT NULL,
    kind       text,
    reason     text,
    dead_key   text COLLATE "C",
    dead_since timestamptz,
    dead_run   text,
    PRIMARY KEY (home, id)
);
CREATE INDEX files_by_content ON files (home, left(sha256, 16), left(uri, 200))
    WHERE uri IS NOT NULL;
CREATE INDEX files_dead ON files (home) WHERE dead_key IS NOT NULL;
CREATE TABLE contents (
    home       int NOT NULL,
    sha256     text NOT NULL,
    uri        text COLLATE "C" NOT NULL,
    size       bigint NOT NULL,
    version_id text,
    PRIMARY KEY (home, sha256, uri)
);
CREATE TABLE claims (
    home        int NOT NULL,
    id          bytea NOT NULL,
    owner       text NOT NULL,
    lease_until timestamptz NOT NULL,
    interrupted boolean NOT NULL,
    PRIMARY KEY (home, id)
);
CREATE INDEX claims_by_owner ON claims (home, owner);
CREATE TABLE holds (
    home        int NOT NULL,
    sha256      text NOT NULL,
    owner       text NOT NULL,
    lease_until timestamptz NOT NULL,
    PRIMARY KEY (home, sha256)
);
CREATE TABLE attempts (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    home       int NOT NULL,
    source_uri text NOT NULL,
    version    text NOT NULL,
    at         timestamptz NOT NULL,
    state      text NOT NULL,
    kind       text,
    reason     text,
    run_id     text
);
CREATE INDEX attempts_by_file ON attempts (home, hashtextextended(source_uri, 0));
CREATE TABLE uploads (
    home       int NOT NULL,
    uri        text NOT NULL,
    upload_id  text NOT NULL,
    size       bigint NOT NULL,
    part_bytes bigint NOT NULL,
    sha256     text,
    PRIMARY KEY (home, uri)
);
CREATE TABLE parts (
    home   int NOT NULL,
    uri    text NOT NULL,
    number int NOT NULL,
    size   bigint NOT NULL,
    etag   text NOT NULL,
    sha256 text NOT NULL,
    PRIMARY KEY (home, uri, number)
)
"""


def open_schema(session: Session, home_url: str) -> tuple[int, bool]:
    """Make the tables where there are none.

    Returns:
        The home's number, and whether nothing is known of it.
    Raises:
        InputError: the tables are of another layout.
    """
    return session.run(lambda db: _open(db, session.place, home_url))


def _open(db: Connection, place: str, home_url: str) -> tuple[int, bool]:
    db.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
    if _one(db, "SELECT to_regclass('trainset_ledger.layout')") is None:
        db.execute(_TABLES)
    layout = _one(db, "SELECT number FROM trainset_ledger.layout")
    if layout != LAYOUT:
        raise InputError(
            f"the ledger at {place} has layout {layout}, this version of trainset reads {LAYOUT}; "
            "run the same version on all hosts: pip install -U trainset"
        )
    db.execute(
        "INSERT INTO trainset_ledger.homes (url) SELECT %s WHERE NOT EXISTS"
        " (SELECT 1 FROM trainset_ledger.homes WHERE url = %s)",
        [home_url, home_url],
    )
    home = _one(db, "SELECT home FROM trainset_ledger.homes WHERE url = %s", home_url)
    known = _one(
        db,
        "SELECT EXISTS (SELECT 1 FROM trainset_ledger.files WHERE home = %s)"
        " OR EXISTS (SELECT 1 FROM trainset_ledger.contents WHERE home = %s)",
        *(home, home),
    )
    return home, not known


def _one(db: Connection, query: str, *values: object) -> Any:
    found = db.execute(query, values).fetchone()
    return None if found is None else found[0]
