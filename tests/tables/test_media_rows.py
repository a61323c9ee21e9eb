"""Transfer outcomes become rows of the media table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from trainset.errors import InputError
from trainset.identity import row_fingerprint
from trainset.model import MediaFacts
from trainset.tables.base import TableLocation
from trainset.tables.lance_store import LanceTable, LanceTableStore
from trainset.tables.media import base_rows, upsert_media
from trainset.tables.schema import MEDIA, MEDIA_FINGERPRINT, computed_fields

NOW = datetime(2026, 11, 1, 3, 4, 5, 678, tzinfo=UTC)
FACTS = MediaFacts(mime="image/jpeg", modality="image", width=640, height=480)


@dataclass(frozen=True)
class File:
    key: str
    uri: str
    size: int
    version: str


@dataclass(frozen=True)
class Outcome:
    file: File
    status: str
    sha256: str | None
    uri: str | None
    version_id: str | None = None
    facts: MediaFacts | None = FACTS


def outcome(
    path: str,
    content: str = "1",
    *,
    version: str = "t1",
    status: str = "sent",
    facts: MediaFacts | None = FACTS,
) -> Outcome:
    sha = content * 64 if status not in ("failed", "deferred") else None
    file = File(f"cam/{path}", f"/nas/{path}", 100, version)
    return Outcome(file, status, sha, sha and f"media/{sha[:2]}/{sha}", facts=facts)


@pytest.fixture
def table(tmp_path: Path) -> LanceTable:
    created = LanceTableStore().create(TableLocation(str(tmp_path / "media")), MEDIA)
    created.add_columns(computed_fields("text", pa.string()))
    return created


def fill(table: LanceTable) -> None:
    tokens = []
    for fragment in table.fragments():
        ids = table.read_fragment(fragment, ["row_id"])["row_id"]
        cells = {"text": ["words"] * len(ids), "text__fn": ["f" * 32] * len(ids)}
        tokens.append(table.stage_fill(fragment, pa.table({"row_id": ids, **cells})))
    table.commit_fills(tokens)


def by_key(table: LanceTable, columns: Sequence[str] | None = None) -> dict[str, dict[str, object]]:
    return {row["key"]: row for row in table.scan(columns).read_all().to_pylist()}


def test_outcomes_with_content_become_rows_and_the_others_do_not(table: LanceTable) -> None:
    counts = upsert_media(
        table,
        [
            outcome("a.jpg", "1"),
            outcome("b.jpg", "1", status="duplicate", facts=None),
            outcome("c.jpg", status="failed"),
            outcome("d.jpg", status="deferred"),
        ],
        now=NOW,
    )
    assert counts.inserted == 2
    rows = by_key(table)
    assert set(rows) == {"cam/a.jpg", "cam/b.jpg"}
    assert rows["cam/b.jpg"]["width"] == 640
    assert rows["cam/a.jpg"]["source_state"] == "present"
    assert rows["cam/a.jpg"]["ingested_at"] == NOW


def test_a_stored_row_has_the_fingerprint_of_its_own_values(table: LanceTable) -> None:
    upsert_media(table, [outcome("a.jpg"), outcome("b.jpg", "2")], now=NOW)
    upsert_media(table, [], now=NOW, missing_keys=["cam/b.jpg"])
    for row in by_key(table).values():
        assert row["row_fp"] == row_fingerprint(row, MEDIA_FINGERPRINT)


def test_a_touched_file_changes_no_row(table: LanceTable) -> None:
    upsert_media(table, [outcome("a.jpg")], now=NOW)
    version = table.version
    later = NOW + timedelta(days=1)
    counts = upsert_media(table, [outcome("a.jpg", version="t2")], now=later)
    assert counts.unchanged == 1
    assert table.version == version


def test_changed_content_empties_computed_cells_of_that_row_only(table: LanceTable) -> None:
    upsert_media(table, [outcome("a.jpg", "1"), outcome("b.jpg", "2")], now=NOW)
    fill(table)
    later = NOW + timedelta(days=1)
    counts = upsert_media(table, [outcome("a.jpg", "3"), outcome("b.jpg", "2")], now=later)
    assert (counts.updated, counts.unchanged) == (1, 1)
    rows = by_key(table)
    assert rows["cam/a.jpg"]["text"] is None
    assert rows["cam/a.jpg"]["text__fn"] is None
    assert rows["cam/a.jpg"]["ingested_at"] == later
    assert rows["cam/b.jpg"]["text"] == "words"


def test_a_missing_file_keeps_its_row_and_comes_back(table: LanceTable) -> None:
    upsert_media(table, [outcome("a.jpg", "1"), outcome("b.jpg", "2")], now=NOW)
    fill(table)
    gone = NOW + timedelta(days=1)
    assert upsert_media(table, [], now=gone, missing_keys=["cam/a.jpg"]).missing == 1
    row = by_key(table)["cam/a.jpg"]
    assert (row["source_state"], row["missing_since"], row["text"]) == ("missing", gone, "words")
    version = table.version
    again = upsert_media(table, [], now=gone + timedelta(days=1), missing_keys=["cam/a.jpg"])
    assert (again.missing, table.version) == (0, version)
    assert upsert_media(table, [], now=gone, present_again=["cam/a.jpg"]).back == 1
    row = by_key(table)["cam/a.jpg"]
    assert (row["source_state"], row["missing_since"], row["text"]) == ("present", None, "words")


def test_a_missing_file_that_comes_with_its_bytes_again_is_present(table: LanceTable) -> None:
    upsert_media(table, [outcome("a.jpg", "1")], now=NOW)
    fill(table)
    upsert_media(table, [], now=NOW, missing_keys=["cam/a.jpg"])
    upsert_media(table, [outcome("a.jpg", "1", status="skipped", facts=None)], now=NOW)
    row = by_key(table)["cam/a.jpg"]
    assert (row["source_state"], row["text"]) == ("present", "words")


def test_an_outcome_without_facts_is_named(table: LanceTable) -> None:
    with pytest.raises(InputError, match=r"cam/a\.jpg.*probe the medium"):
        upsert_media(table, [outcome("a.jpg", facts=None)], now=NOW)


def test_base_rows_say_what_the_plan_needs(table: LanceTable) -> None:
    upsert_media(table, [outcome("a.jpg", "1")], now=NOW)
    row = base_rows(table)["cam/a.jpg"]
    assert (row.size, row.source_version, row.source_state) == (100, "t1", "present")
    assert row.sha256 == "1" * 64
    assert row.unreadable is None


def adopted(pin: str, *, sha: str | None = None, facts: MediaFacts = FACTS) -> Outcome:
    file = File("raw/a.jpg", "s3://raw/a.jpg", 100, f"etag of {pin}")
    return Outcome(file, "skipped", sha, file.uri, pin, facts)


def test_a_medium_without_sha256_is_known_by_uri_and_version(table: LanceTable) -> None:
    upsert_media(table, [adopted("v1")], now=NOW)
    fill(table)
    assert upsert_media(table, [adopted("v1")], now=NOW).unchanged == 1
    assert by_key(table)["raw/a.jpg"]["text"] == "words"
    assert upsert_media(table, [adopted("v2")], now=NOW).updated == 1
    row = by_key(table)["raw/a.jpg"]
    assert (row["version_id"], row["sha256"], row["text"]) == ("v2", None, None)


def test_what_was_found_out_of_a_version_stays_when_it_is_adopted_unread_again(
    table: LanceTable,
) -> None:
    upsert_media(table, [adopted("v1", sha="1" * 64)], now=NOW)
    fill(table)
    unread = MediaFacts(mime="image/jpeg", modality="image")
    assert upsert_media(table, [adopted("v1", facts=unread)], now=NOW).unchanged == 1
    row = by_key(table)["raw/a.jpg"]
    assert (row["sha256"], row["width"], row["text"]) == ("1" * 64, 640, "words")


def test_the_same_bytes_in_a_new_version_keep_their_cells(table: LanceTable) -> None:
    upsert_media(table, [adopted("v1", sha="1" * 64)], now=NOW)
    fill(table)
    assert upsert_media(table, [adopted("v2", sha="1" * 64)], now=NOW).updated == 1
    row = by_key(table)["raw/a.jpg"]
    assert (row["version_id"], row["text"]) == ("v2", "words")
