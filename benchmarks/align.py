"""Alignment: label records matched with media, trainset and its peers on the same tables.

    python benchmarks/align.py [--quick] [--json] [--rounds N]

Figures: ``first_alignment`` (nothing is known), ``repeated_alignment`` (1 % of the records changed
since the last commit), ``late_labels`` (the last 5 % of the media arrive after their labels), each
in records/s and, as ``…_cpu``, in CPU seconds: trainset's are whole alignments, with finished rows,
fingerprints, findings and report. ``matching`` is the key ladder alone, which is all that the peers
do (``duckdb``: in SQL; ``pandas``: merges). Everything runs in a process of its own, in turn; the
figure is the best round.
"""

from __future__ import annotations

import argparse
import importlib
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.feather as feather
from align_data import make_data
from measure import Results, in_child

RECORDS, MEDIA = 500_000, 200_000
QUICK_RECORDS, QUICK_MEDIA = 100_000, 40_000
OURS = ("first_alignment", "repeated_alignment", "late_labels", "matching")
PEERS = ("duckdb", "pandas")


def main() -> None:
    options = _options()
    records, media = (QUICK_RECORDS, QUICK_MEDIA) if options.quick else (RECORDS, MEDIA)
    best: dict[str, tuple[float, float]] = {}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        make_data(Path(folder), records, media)
        for _ in range(options.rounds):
            for name in (*OURS, *PEERS):
                wall, cpu = in_child(f"align:{name}", folder).value
                was = best.get(name, (wall, cpu))
                best[name] = (min(wall, was[0]), min(cpu, was[1]))
    results = Results()
    for name in OURS:
        wall, cpu = best[name]
        rates = {peer: records / best[peer][0] for peer in PEERS}
        results.add(name, records / wall, "records/s", peers=rates)
        results.add(f"{name}_cpu", cpu, "s", peers={peer: best[peer][1] for peer in PEERS})
    if options.json:
        results.print_json()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="less data, one round")
    parser.add_argument("--json", action="store_true", help="the numbers as JSON on stdout")
    parser.add_argument("--rounds", type=int, help="default 3; 1 with --quick")
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.quick else 3)
    return options


def first_alignment(folder: str) -> tuple[float, float]:
    from trainset.metadata.align import align_annotations

    records, media = _read(folder, "records"), _read(folder, "media")
    return _timed(lambda: align_annotations(records, media))


def repeated_alignment(folder: str) -> tuple[float, float]:
    from trainset.metadata.align import align_annotations
    from trainset.metadata.align.rematch import Before

    records, media = _read(folder, "records"), _read(folder, "media")
    rows = align_annotations(records, media).rows
    changed = pa.array([n % 100 == 0 for n in range(len(records))])
    classes = pa.compute.if_else(changed, "another class", records["class"])
    records = records.set_column(records.column_names.index("class"), "class", classes)
    before = Before(rows, _streams(records))
    return _timed(lambda: align_annotations(records, media, before=before))


def late_labels(folder: str) -> tuple[float, float]:
    from trainset.metadata.align import align_annotations
    from trainset.metadata.align.rematch import Before

    records, media = _read(folder, "records"), _read(folder, "media")
    before = Before(align_annotations(records, _read(folder, "media_early")).rows)
    return _timed(lambda: align_annotations(records, media, before=before))


def matching(folder: str) -> tuple[float, float]:
    from trainset.metadata.align import METHODS
    from trainset.metadata.align.climb import resolve
    from trainset.metadata.align.ladder_columns import MediaColumns

    records, media = _read(folder, "records"), _read(folder, "media")

    def climb() -> None:
        index = MediaColumns(media["key"], media["source_uri"], media["sha256"])
        resolve(index, records["media_ref"], METHODS)

    return _timed(climb)


def duckdb(folder: str) -> tuple[float, float]:
    from align_peers import match_by_duckdb

    importlib.import_module("duckdb")  # not part of the work
    return _timed(lambda: match_by_duckdb(folder))


def pandas(folder: str) -> tuple[float, float]:
    from align_peers import match_by_pandas

    return _timed(lambda: match_by_pandas(folder))


def _read(folder: str, name: str) -> pa.Table:
    return feather.read_table(Path(folder) / f"{name}.arrow")


def _streams(records: pa.Table) -> frozenset[tuple[str, str]]:
    pairs = records.group_by(["source", "stream"]).aggregate([]).to_pylist()
    return frozenset((pair["source"], pair["stream"]) for pair in pairs)


def _timed(work: Callable[[], Any]) -> tuple[float, float]:
    """Wall clock and CPU seconds of all threads."""
    importlib.import_module("pandas")  # pyarrow loads it with the first list: nobody's work
    began, used = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - began, time.process_time() - used


if __name__ == "__main__":
    main()
