"""Syncing a table of PostgreSQL: trainset and its peers on the same rows, in the same run.

    python benchmarks/metadata.py [--quick] [--json] [--rounds N] [--dlt PYTHON] [--url URL]

A table of 500,000 rows and 8 columns (100,000 with --quick). ``full_sync`` is the first sync, with
its commit; ``noop_sync`` the next one, with nothing new; ``change_sync`` one after 1 % of the rows
changed, came or were deleted, an integer column became text and a column was added. After it the
stored rows are compared with the table, row for row: where they differ, nothing is printed.

Peers read the whole table: ``psql \\copy`` to CSV, ConnectorX and pandas to Parquet, dlt to
Parquet where --dlt names a Python that has it. Figures are medians of the rounds, everybody a
process of its own, without its imports (dlt: with them); a ratio is ours over the peer's of the
same round.
The server is started for the run, unless --url names an empty database.
"""

from __future__ import annotations

import argparse
import importlib.util
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
from measure import Measured, Results, in_child
from metadata_clients import TABLE

from trainset.home import open_home
from trainset.metadata.tables.rows import load_rows

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

ROWS, QUICK_ROWS = 500_000, 100_000
FULL, NOOP, CHANGE = "full_sync", "noop_sync", "change_sync"
_MAKE = f"""
DROP TABLE IF EXISTS {TABLE};
CREATE TABLE {TABLE} (
  id bigint PRIMARY KEY, path text, label text, score float8, bbox jsonb, annotator int,
  created_at timestamptz, updated_at timestamptz);
INSERT INTO {TABLE}
SELECT i, 'cam/' || i / 1000 || '/img_' || i || '.jpg', (ARRAY['car', 'bus', 'person'])[1 + i % 3],
  (i % 997) / 997.0, jsonb_build_array(i % 640, i % 480, 10 + i % 50, 20 + i % 30), i % 17,
  '2026-01-01'::timestamptz + i * interval '1 second',
  '2026-01-01'::timestamptz + i * interval '1 second'
FROM generate_series(1, :rows) AS i;
"""
_CHANGE = f"""
ALTER TABLE {TABLE} ALTER COLUMN annotator TYPE text, ADD COLUMN reviewed boolean;
UPDATE {TABLE} SET label = 'truck', annotator = 'ann', updated_at = now() WHERE id % 250 = 0;
INSERT INTO {TABLE} (id, path, label, annotator)
SELECT :rows + i, 'new/' || i, 'car', 'bob' FROM generate_series(1, :rows / 250) AS i;
DELETE FROM {TABLE} WHERE id % 500 = 1;
"""


def main() -> None:
    options = _options()
    rows = QUICK_ROWS if options.quick else ROWS
    peers = _peers(options.dlt)
    found: dict[str, list[Measured]] = {name: [] for name in (FULL, NOOP, CHANGE, *peers)}
    with _database(options.url) as url, tempfile.TemporaryDirectory(prefix="bench-") as folder:
        for number in range(options.rounds):
            place = Path(folder) / str(number)
            place.mkdir()
            _round(found, peers, url, place, rows)
            shutil.rmtree(place)
            print(f"round {number + 1} of {options.rounds} done", file=sys.stderr)
    results = Results()
    walls = {name: [one.wall_s for one in measured] for name, measured in found.items()}
    medians = {name: statistics.median(values) for name, values in walls.items()}

    def over(name: str, peer: str) -> float:
        """The peer's time as the median of the rounds' ratios has it: others load the machine."""
        ratios = [ours / theirs for ours, theirs in zip(walls[name], walls[peer], strict=True)]
        return medians[name] / statistics.median(ratios)

    results.add(FULL, medians[FULL], "s", peers={name: over(FULL, name) for name in peers})
    results.add(NOOP, medians[NOOP], "s")
    results.add(CHANGE, medians[CHANGE], "s", peers={FULL: over(CHANGE, FULL)})
    for name in (FULL, NOOP, CHANGE):
        cpu = statistics.median(one.cpu_s for one in found[name])
        results.add(f"{name}_cpu", cpu, "s")
        results.add(f"{name}_peak_memory", max(one.peak_mb for one in found[name]), "MB")
    if options.json:
        results.print_json()


def _round(
    found: dict[str, list[Measured]], peers: dict[str, list[str]], url: str, place: Path, rows: int
) -> None:
    home = str(place / "home")

    def ours(name: str, run_id: str) -> dict[str, int]:
        found[name].append(_measured("trainset", url, home, run_id))
        done: dict[str, int] = found[name][-1].value
        return done

    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as db:
        _run(db, _MAKE, rows)
        db.execute(f"VACUUM ANALYZE {TABLE}")
        for name, more in reversed(peers.items()):  # the fastest next to ours
            found[name].append(_measured(name, url, str(place), *more))
        assert ours(FULL, "full") == {"rows": rows, "changed": 1}
        assert ours(NOOP, "noop")["changed"] == 0
        _run(db, _CHANGE, rows)
        ours(CHANGE, "change")
        _check(db, home)


def _check(db: psycopg.Connection[Any], home: str) -> None:
    """The stored rows are those of the table, value by value."""
    stored = load_rows(open_home(home).versions.snapshot("main"), "db", TABLE).sort_by("id")
    cursor = db.execute(f"SELECT *, bbox::text AS bbox_text FROM {TABLE} ORDER BY id")
    names = [column.name for column in cursor.description or ()]
    rows = dict(zip(names, zip(*cursor.fetchall(), strict=True), strict=True))
    rows["bbox"] = rows.pop("bbox_text")
    for name, values in rows.items():
        wanted = pa.chunked_array([pa.array(values, stored[name].type)])
        if not stored[name].combine_chunks().equals(wanted.combine_chunks()):
            raise SystemExit(f"column {name} is not as in the source; no figure counts")


def _run(db: psycopg.Connection[Any], script: str, rows: int) -> None:
    for statement in filter(str.strip, script.split(";")):
        db.execute(statement.replace(":rows", str(rows)))


def _measured(client: str, *values: str) -> Measured:
    environment = {"TRAINSET_BENCHMARK_CLIENT": client}
    return in_child(f"metadata_clients:{client}", *values, environment=environment)


def _peers(python_with_dlt: str | None) -> dict[str, list[str]]:
    """Peers that can run here, with what each needs to know; what lacks is said."""
    there = {
        "copy": shutil.which("psql") is not None,
        "connectorx": importlib.util.find_spec("connectorx") is not None,
        "dlt": python_with_dlt is not None,
        "pandas": importlib.util.find_spec("sqlalchemy") is not None,
    }
    how = {"copy": "install psql", "dlt": "name a Python that has it with --dlt"}
    for name in (name for name, is_there in there.items() if not is_there):
        print(f"{name} is left out: {how.get(name, 'install the extra sql')}", file=sys.stderr)
    needs = {"dlt": [str(python_with_dlt)]}
    return {name: needs.get(name, []) for name, is_there in there.items() if is_there}


@contextmanager
def _database(url: str | None) -> Iterator[str]:
    if url is not None:
        yield url
        return
    from services.postgres import start

    server = start()
    try:
        yield server.new_database()
    finally:
        server.stop()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer rows, one round")
    parser.add_argument("--json", action="store_true", help="the numbers as JSON on stdout")
    parser.add_argument("--rounds", type=int, help="default 3; 1 with --quick")
    parser.add_argument("--dlt", metavar="PYTHON", help="a Python that has dlt[sql_database]")
    parser.add_argument("--url", help="of an empty PostgreSQL database; its table is dropped")
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.quick else 3)
    return options


if __name__ == "__main__":
    main()
