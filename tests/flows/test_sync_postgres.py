"""Tables of a real PostgreSQL in whole runs: what Airbyte's syncs promise, and what they lose."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from services.dying import killed_after
from services.postgres import PASSWORD, USER, Postgres
from services.tiny_source import TinySource, make_tiny_source, picture

from trainset.errors import InputError, SpecError
from trainset.home import open_home
from trainset.metadata.sql import postgres as sql_postgres
from trainset.metadata.store import load_rejected
from trainset.metadata.tables import chunks, delta
from trainset.metadata.tables import parts as table_parts
from trainset.metadata.tables.contract import ContractBroken
from trainset.metadata.tables.open import open_tables
from trainset.metadata.tables.rows import load_rows
from trainset.metadata.tables.source import sync_tables
from trainset.model import RunSummary
from trainset.run import local
from trainset.run.context import RunContext, begin_run, end_run
from trainset.run.estimate import estimate_run
from trainset.run.publish import publish
from trainset.run.reports import StageReport
from trainset.spec import load_spec


@dataclass
class Reviews:
    """A dataset with one picture whose labels are the table ``reviews``."""

    tiny: TinySource
    db: psycopg.Connection[Any]
    url: str  # without the password, which libpq takes from PGPASSWORD

    def run(self, **options: Any) -> RunSummary:
        self.say(**options)
        return local.run_pipeline(self.tiny.spec)

    def say(self, **options: Any) -> None:
        source = {"name": "db", "from": self.url, "table": "reviews", **options}
        self.tiny.write_spec(metadata=[source])

    def stored(self, ref: str = "main") -> list[dict[str, Any]]:
        rows = load_rows(self.tiny.home.versions.snapshot(ref), "db", "reviews").to_pylist()
        plain = [{k: v for k, v in row.items() if not k.startswith("_")} for row in rows]
        return sorted(plain, key=lambda row: row["id"])

    def source(self) -> list[dict[str, Any]]:
        found = self.db.execute("SELECT * FROM reviews ORDER BY id")
        names = [column.name for column in found.description or ()]
        return [dict(zip(names, row, strict=True)) for row in found]

    def head(self) -> str:
        head = self.tiny.home.versions.head()
        assert head is not None
        return head.id


@pytest.fixture
def reviews(
    postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Reviews]:
    tiny = make_tiny_source(tmp_path, pictures=2)
    tiny.write_spec(columns={}, exports={})
    url = postgres.new_database()
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as db:
        db.execute("CREATE TABLE reviews (id int PRIMARY KEY, file_name text, label text, n int)")
        db.execute(
            "INSERT INTO reviews SELECT i, '00.png', 'class ' || i % 3, i "
            "FROM generate_series(1, 100) i"
        )
        yield Reviews(tiny, db, f"postgresql://{USER}@{url.partition('@')[2]}")


def test_a_table_is_synced_its_rows_are_labels_and_nothing_new_is_no_commit(
    reviews: Reviews,
) -> None:
    first = reviews.run()
    assert (first.status, first.metadata.rows, first.metadata.matched) == ("completed", 100, 100)
    assert reviews.stored() == reviews.source()
    labels = reviews.tiny.open().table("annotations").to_arrow().to_pylist()
    assert {row["class"] for row in labels} == {"class 0", "class 1", "class 2"}
    assert sorted(int(row["record_id"]) for row in labels) == list(range(1, 101))
    again = reviews.run()
    assert (again.status, again.commit) == ("unchanged", first.commit)


def test_a_dry_run_says_how_many_rows_the_catalog_expects(reviews: Reviews) -> None:
    reviews.db.execute("ANALYZE reviews")
    reviews.say()
    text = estimate_run(reviews.tiny.spec).text()
    assert "db/reviews: about 100 rows, as its database estimates; all are read" in text
    reviews.run()
    reviews.db.execute("CREATE TABLE fresh (id int PRIMARY KEY)")
    reviews.say(table=["reviews", "fresh"])
    text = estimate_run(reviews.tiny.spec).text()
    assert "about 100 rows, as its database estimates; the dataset has 100." in text
    assert "db/fresh: rows that its database does not count" in text
    reviews.say(table="nowhere")
    assert "has no table 'nowhere'" in estimate_run(reviews.tiny.spec).text()


def test_a_row_that_is_committed_late_arrives(reviews: Reviews, postgres: Postgres) -> None:
    with psycopg.connect(reviews.db.info.dsn, password=PASSWORD) as slow:
        slow.execute("INSERT INTO reviews VALUES (200, '00.png', 'late', 0)")
        reviews.db.execute("INSERT INTO reviews VALUES (201, '00.png', 'early', 0)")
        reviews.run()
        assert [row["id"] for row in reviews.stored()][-1] == 201
        slow.commit()
    reviews.run()
    assert reviews.stored() == reviews.source()


def test_hard_deletes_arrive_and_a_table_that_empties_is_not_believed(reviews: Reviews) -> None:
    reviews.run()
    reviews.db.execute("DELETE FROM reviews WHERE id <= 5")
    assert reviews.run().metadata.rows == 95
    assert reviews.stored() == reviews.source()
    head = reviews.head()
    reviews.db.execute("DELETE FROM reviews WHERE id <= 60")
    with pytest.raises(ContractBroken, match="55 of 95 rows are gone"):
        reviews.run()
    assert reviews.head() == head
    assert reviews.run(max_deleted="100%").metadata.rows == 40


@pytest.mark.parametrize("default", ["", " DEFAULT 'x'"])
def test_a_new_column_arrives_with_what_old_rows_hold(reviews: Reviews, default: str) -> None:
    reviews.run()
    reviews.db.execute(f"ALTER TABLE reviews ADD COLUMN note text{default}")
    reviews.db.execute("UPDATE reviews SET note = 'seen' WHERE id = 7")
    context, report = _worked(reviews, "r2")
    said = local.metadata_steps.sync_work(context.model_copy(update={"run_id": "look"}), "db").said
    assert "reviews: new column 'note'" in said
    publish(context, report)
    end_run(context)
    assert reviews.stored() == reviews.source()


def test_int_to_text_keeps_the_type_and_quarantines_what_does_not_fit(reviews: Reviews) -> None:
    reviews.run()
    reviews.db.execute("ALTER TABLE reviews ALTER COLUMN n TYPE text")
    reviews.db.execute("UPDATE reviews SET n = 'seven' WHERE id = 7")
    summary = reviews.run()
    assert (summary.exit_code, summary.metadata.quarantined) == (3, 1)
    assert "db/reviews#id=7" in {item.key for item in summary.left_out}
    main = reviews.tiny.home.versions.snapshot("main")
    (item,) = load_rejected(main, "db", "reviews")
    assert (item.record, item.original) == ("id=7", '"seven"')
    by_id = {row["id"]: row for row in load_rows(main, "db", "reviews").to_pylist()}
    assert by_id[7]["n"] is None
    assert by_id[7]["_meta"]["changes"][0]["field"] == "n"
    assert by_id[8]["n"] == 8
    reviews.db.execute("DELETE FROM reviews WHERE id = 7")
    assert reviews.run().metadata.quarantined == 0, "its row is gone"


def test_int_to_text_widens_when_the_contract_says_so(reviews: Reviews) -> None:
    reviews.run(contract="widen")
    reviews.db.execute("ALTER TABLE reviews ALTER COLUMN n TYPE text")
    reviews.db.execute("UPDATE reviews SET n = 'seven' WHERE id = 7")
    assert reviews.run(contract="widen").metadata.quarantined == 0
    assert reviews.stored() == reviews.source()


def test_many_values_that_do_not_fit_fail_the_run_before_main_moves(reviews: Reviews) -> None:
    reviews.run()
    head = reviews.head()
    reviews.db.execute("ALTER TABLE reviews ALTER COLUMN n TYPE text USING 'n' || n")
    with pytest.raises(ContractBroken, match="100 of 100 rows do not fit"):
        reviews.run()
    assert reviews.head() == head


def test_a_lost_primary_key_fails_the_run_and_says_what_to_do(reviews: Reviews) -> None:
    reviews.run()
    head = reviews.head()
    reviews.db.execute("ALTER TABLE reviews DROP CONSTRAINT reviews_pkey")
    reviews.db.execute("UPDATE reviews SET label = 'x'")
    with pytest.raises(ContractBroken, match=r"its key \(id\) is gone.*key:"):
        reviews.run()
    assert reviews.head() == head
    reviews.run(key="id")
    assert reviews.stored() == reviews.source()


def test_a_table_that_is_gone_keeps_its_rows_and_is_listed(reviews: Reviews) -> None:
    reviews.run()
    rows = reviews.stored()
    reviews.db.execute("DROP TABLE reviews")
    summary = reviews.run()
    assert summary.exit_code == 3
    assert reviews.stored() == rows
    assert ("db/reviews", "unreadable-source") in {(i.key, i.kind) for i in summary.left_out}


def test_after_a_revert_the_next_sync_brings_back_what_the_source_has(reviews: Reviews) -> None:
    first = reviews.run()
    reviews.db.execute("INSERT INTO reviews VALUES (300, '00.png', 'new', 1)")
    reviews.db.execute("DELETE FROM reviews WHERE id = 1")
    reviews.run()
    assert first.commit is not None
    reviews.tiny.home.versions.rollback(first.commit)
    assert [row["id"] for row in reviews.stored()] == list(range(1, 101))
    assert reviews.run().status == "completed"
    assert reviews.stored() == reviews.source()


def _worked(reviews: Reviews, run_id: str) -> tuple[RunContext, StageReport]:
    context = local.new_context(reviews.tiny.spec, run_id=run_id)
    begin_run(context)
    return context, local.transfer(context) + local.sync(context) + local.compute(context)


def test_of_two_writers_the_second_syncs_again_from_mains_state(reviews: Reviews) -> None:
    reviews.run()
    reviews.db.execute("INSERT INTO reviews VALUES (301, '00.png', 'for both', 1)")
    a, report_a = _worked(reviews, "a")
    reviews.db.execute("DELETE FROM reviews WHERE id = 2")
    reviews.tiny.write("b.png", picture(77))
    b, report_b = _worked(reviews, "b")
    reviews.db.execute("INSERT INTO reviews VALUES (302, '00.png', 'later than both', 1)")
    first, second = publish(a, report_a), publish(b, report_b)
    end_run(a)
    end_run(b)
    assert (first.replayed, second.replayed, second.status) == (0, 1, "completed")
    assert reviews.stored() == reviews.source(), "each row once, and what came meanwhile"
    assert reviews.run().status == "unchanged"


@pytest.mark.parametrize(
    "place",
    [
        "trainset.metadata.tables.write:StreamWriter.put_rows",
        "trainset.metadata.tables.write:StreamWriter.put_state",
    ],
)
def test_killed_between_parts_and_manifest_main_is_whole_and_the_next_run_too(
    reviews: Reviews, place: str
) -> None:
    reviews.run()
    before, head = reviews.stored(), reviews.head()
    reviews.db.execute("UPDATE reviews SET label = 'y' WHERE id = 4")
    reviews.db.execute("DELETE FROM reviews WHERE id = 3")
    killed_after(reviews.tiny.spec_file, place)
    assert reviews.head() == head
    assert reviews.stored() == before
    assert reviews.run().status == "completed"
    assert reviews.stored() == reviews.source()


@pytest.mark.parametrize("mode", ["incremental-upsert", "full-overwrite"])
def test_a_first_read_that_was_cut_off_goes_on_and_ends_as_the_source_is_then(
    reviews: Reviews, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.setattr(sql_postgres, "_CHUNK_BYTES", 8192)
    monkeypatch.setattr(table_parts, "PART_ROWS", 100)
    reviews.db.execute(
        "INSERT INTO reviews SELECT i, '01.png', repeat('x', 40), i "
        "FROM generate_series(101, 900) i"
    )
    saved = []

    def dying(*args: Any, **facts: Any) -> None:
        chunks.save_chunk(*args, **facts)
        saved.append(facts["state"])
        if len(saved) == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(delta, "save_chunk", dying)
        with pytest.raises(KeyboardInterrupt):
            reviews.run(mode=mode)
    reviews.db.execute("UPDATE reviews SET label = 'changed behind it' WHERE id = 5")
    reviews.db.execute("DELETE FROM reviews WHERE id = 6")
    taken: list[Any] = []

    def noting(*args: Any, **facts: Any) -> Any:
        taken.append(chunks.load_chunk(*args, **facts))
        return taken[-1]

    monkeypatch.setattr(delta, "load_chunk", noting)
    reviews.run(mode=mode)
    assert taken[0].state == saved[-1], "it went on from the last part"
    assert reviews.stored() == reviews.source()
    assert reviews.run(mode=mode).status == "unchanged"


def test_a_table_without_a_media_column_is_told_with_the_word_that_helps(
    reviews: Reviews,
) -> None:
    reviews.db.execute("ALTER TABLE reviews RENAME COLUMN file_name TO thing")
    reviews.db.execute("UPDATE reviews SET thing = '1', label = '2'")
    summary = reviews.run()
    assert summary.exit_code == 3
    (told,) = [item for item in summary.left_out if item.kind == "no-media-column"]
    assert told.key == "db/reviews"
    assert "say media_column in the spec" in told.reason
    assert len(reviews.stored()) == 100
    reviews.db.execute("UPDATE reviews SET thing = '00.png'")
    assert reviews.run(media_column="thing").metadata.matched == 100
    wrong = reviews.run(media_column="things")
    assert any("no column 'things'" in item.reason for item in wrong.left_out)


def test_a_password_in_the_spec_is_refused_and_never_shown(reviews: Reviews) -> None:
    for secret in ("hunter2", "hun/ter@2"):
        reviews.say(**{"from": f"postgresql://ann:{secret}@db.example/labels"})
        with pytest.raises(SpecError, match="from: a password or signature in the url") as error:
            load_spec(reviews.tiny.spec_file)
        assert "hun" not in str(error.value)
    reviews.say(salt="my-own-salt")
    with pytest.raises(SpecError, match="salt: block:") as error:
        load_spec(reviews.tiny.spec_file)
    assert "my-own-salt" not in str(error.value)


def test_a_block_is_not_looked_up_by_the_library(reviews: Reviews) -> None:
    with pytest.raises(InputError, match=r"block:labels is a block of a Prefect server"):
        reviews.run(**{"from": "block:labels"})


STEP = st.one_of(
    st.tuples(st.just("put"), st.integers(1, 8), st.sampled_from(["x", "y", None])),
    st.tuples(st.just("delete"), st.integers(1, 8), st.none()),
    st.tuples(st.just("text"), st.none(), st.none()),
    st.tuples(st.just("column"), st.none(), st.sampled_from(["a", "b"])),
    st.tuples(st.just("sync"), st.none(), st.none()),
)


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(STEP, max_size=10))
def test_after_any_history_the_table_is_the_source(
    reviews: Reviews, steps: list[tuple[str, Any, Any]]
) -> None:
    db, versions = reviews.db, open_home(reviews.tiny.spec.home, create=True).versions
    db.execute("DROP TABLE reviews")
    db.execute("CREATE TABLE reviews (id int PRIMARY KEY, label text, n int)")
    reviews.say(contract="widen", max_deleted="100%")
    source = reviews.tiny.spec.metadata[0]
    workspace = versions.begin("history")
    is_text = False
    for number, (what, key, value) in enumerate([*steps, ("sync", None, None)]):
        if what == "put":
            db.execute(
                "INSERT INTO reviews (id, label, n) VALUES (%s, %s, %s) ON CONFLICT (id) "
                "DO UPDATE SET label = excluded.label, n = excluded.n",
                (key, value, f"n{number}" if is_text else number),
            )
        elif what == "delete":
            db.execute("DELETE FROM reviews WHERE id = %s", (key,))
        elif what == "text":
            db.execute("ALTER TABLE reviews ALTER COLUMN n TYPE text")
            is_text = True
        elif what == "column":
            db.execute(f"ALTER TABLE reviews ADD COLUMN IF NOT EXISTS {value} text DEFAULT 'd'")
        else:
            now = local.new_context(reviews.tiny.spec).started_at
            sync_tables(open_tables(source), source, workspace, sync_id=f"s{number}", now=now)
            rows = load_rows(workspace, "db", "reviews")
            rows = rows.select([n for n in rows.column_names if not n.startswith("_")])
            found = sorted(rows.to_pylist(), key=lambda row: row["id"])
            assert found == reviews.source()
            assert pa.types.is_string(rows.schema.field("n").type) == is_text
    workspace.discard()
