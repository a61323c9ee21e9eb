"""A plan of a million files: ``python benchmarks/plan.py [--quick] [--json]``.

A listing of a million files (a hundred thousand with --quick) against a media table of as many
rows, in a process of its own: files per second, CPU and peak memory, beside the listing alone; then
with rules, and what the plan would cost. Target: 300 MB of memory at a million rows.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from measure import Measured, Results, arguments, in_child

from trainset.identity import row_id
from trainset.spec import MediaSource, TransferSpec
from trainset.tables.base import TableLocation
from trainset.tables.lance_store import LanceTableStore
from trainset.tables.schema import MEDIA
from trainset.transfer.base import SourceFile
from trainset.transfer.base_index import BaseIndex
from trainset.transfer.cost import Workload, price
from trainset.transfer.plan import Planner
from trainset.transfer.rates import load_rates
from trainset.transfer.route import Router

NEW = 0.5  # share of the listing that the base does not hold; as many rows are gone
SIZE = 50_000  # bytes of a file
_NOW = datetime(2026, 11, 22, tzinfo=UTC)
_SOURCES = [MediaSource.model_validate({"name": "cam", "from": "/x"})]
_RULES = {
    "unmatched": "home",
    "routes": [
        {"name": "notes", "path": "**/*.txt", "skip": "no media"},
        {"name": "film", "mime": "video/*", "min_size": "1MB", "prefix": "film"},
        {"name": "old", "where": "modified < '2020-01-01' or path like 'day-0001/%'"},
    ],
}


def make_base(uri: str, rows: int) -> int:
    """Write a media table of so many rows."""
    table = LanceTableStore().create(TableLocation(uri=uri), MEDIA)
    step = 50_000
    for first in range(0, rows, step):
        numbers = range(first, min(first + step, rows))
        keys = [f"cam/{_path(n)}" for n in numbers]
        columns: dict[str, Any] = {
            "row_id": [row_id(key) for key in keys],
            "key": keys,
            "uri": [f"media/{n:064x}" for n in numbers],
            "sha256": [f"{n:064x}" for n in numbers],
            "size": [SIZE] * len(keys),
            "mime": ["image/jpeg"] * len(keys),
            "source_uri": [f"/x/{_path(n)}" for n in numbers],
            "source_version": [str(n) for n in numbers],
            "source_state": ["present"] * len(keys),
        }
        full = {n: columns.get(n, [None] * len(keys)) for n in MEDIA.names}
        table.upsert(pa.Table.from_pydict(full, schema=MEDIA))
    return rows


def only_list(first: int, files: int) -> int:
    """The listing by itself: not the plan's cost."""
    return sum(1 for _ in _listing(first, files))


def plan(uri: str, first: int, files: int, routed: bool) -> dict[str, int]:
    """Plan to the end: batches, and what is gone."""
    transfer = TransferSpec.model_validate(_RULES if routed else {})
    base = BaseIndex.of_table(LanceTableStore().open(TableLocation(uri=uri)))
    planner = Planner(base, _SOURCES, now=_NOW, route=Router(transfer).route)
    moving = sum(len(batch) for batch in planner.batches(_listing(first, files)))
    missing = sum(1 for _ in planner.missing())
    return {"moving": moving, "unchanged": planner.unchanged, "missing": missing}


def _listing(first: int, files: int) -> Iterator[SourceFile]:
    for number in range(first, first + files):
        path = _path(number)
        yield SourceFile(
            key=f"cam/{path}",
            source="cam",
            path=path,
            uri=f"/x/{path}",
            size=SIZE,
            version=str(number),
            modified=_NOW,
        )


def _path(number: int) -> str:
    return f"day-{number // 10_000:04d}/camera-{number % 7}/frame-{number:09d}.jpg"


def main() -> int:
    options = arguments("Plan a million files against a million rows.")
    files = 100_000 if options.quick else 1_000_000
    first = int(files * NEW)
    results = Results()
    folder = Path(tempfile.mkdtemp(prefix="trainset-plan-"))
    try:
        uri = str(folder / "media")
        in_child("plan:make_base", uri, files)
        listing = in_child("plan:only_list", first, files)
        _add(results, "listing alone", files, listing, {})
        for name, routed in (("plan", False), ("plan with 3 rules", True)):
            done = in_child("plan:plan", uri, first, files, routed)
            wanted = {"moving": first, "unchanged": files - first, "missing": first}
            assert done.value == wanted, done.value
            _add(results, name, files, done, {"listing alone": listing.cpu_s})
    finally:
        shutil.rmtree(folder)
    _add_cost(results, first)
    if options.json:
        results.print_json()
    return 0


def _add(results: Results, name: str, files: int, done: Measured, peers: dict[str, float]) -> None:
    results.add(f"{name}: files/s", files / done.wall_s, "1/s")
    results.add(f"{name}: CPU", done.cpu_s, "s", peers=peers)
    results.add(f"{name}: peak memory", done.peak_mb, "MB")


def _add_cost(results: Results, files: int) -> None:
    work, card = Workload(), load_rates()
    for _ in range(files):
        work.add_moving(SIZE, from_bucket=False)
    cost = price(work, card, verify="L2", bytes_per_s=500e6 / 8)
    print(f"prices: {card.name}, {card.date}; 500 Mbit/s, verified at L2", file=sys.stderr)
    results.add("cost: a month", float(cost.storage_month), card.currency)
    results.add("cost: once", float(cost.once), card.currency)
    results.add("cost: class A calls", cost.requests.A, "calls")
    results.add("cost: time", cost.seconds, f"s, by {cost.bound}")


if __name__ == "__main__":
    sys.exit(main())
