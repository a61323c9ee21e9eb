"""Merging by row: a run whose base main has left, replayed on main; trainset and its peers.

    python benchmarks/versions.py [--quick] [--json] [--rounds N]

Two runs from one base of a million media rows each change 1 %, append 0.9 % and remove 0.1 % of
them; one is on main. ``replay_cpu`` is the replay of the other, ready to be committed (comparing,
checking out, writing); ``plan_cpu`` is the comparison alone, which is all that the peers do
(``duckdb``: in SQL; ``pandas``: merges). ``commit_cpu`` is commit and merge after the replay. What
main then holds is compared with all rows as they must be. Everything runs in a process of its own;
the figure is the best round.
"""

from __future__ import annotations

import argparse
import importlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from typing import Any

from measure import Results, in_child
from versions_data import beside, check_merged, make_home, read_media

ROWS, QUICK_ROWS = 1_000_000, 100_000
PEERS = ("duckdb", "pandas")


def main() -> None:
    options = _options()
    rows = QUICK_ROWS if options.quick else ROWS
    costs: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        home = os.path.join(folder, "home")
        in_child("versions:make", home, rows)
        for _ in range(options.rounds):
            replayed = in_child("versions:replay_and_merge", home)
            in_child("versions:check", home)
            plans = {name: in_child(f"versions:{name}", home) for name in ("plan", *PEERS)}
            for name, cpu in replayed.value.items():
                costs.setdefault(name, []).append(cpu)
            costs.setdefault("peak", []).append(replayed.peak_mb)
            for name, plan in plans.items():
                cpu, found = plan.value
                assert found == plans["plan"].value[1], (name, found, plans["plan"].value[1])
                costs.setdefault(name, []).append(cpu)
    best = {name: min(found) for name, found in costs.items()}
    peers = {name: best[name] for name in PEERS}
    results = Results()
    results.add("replay_cpu", best["replay"], "s", peers=peers)
    results.add("plan_cpu", best["plan"], "s", peers=peers)
    results.add("commit_cpu", best["commit"], "s")
    results.add("replay_peak", best["peak"], "MB")
    if options.json:
        results.print_json()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows, one round")
    parser.add_argument("--json", action="store_true", help="the numbers as JSON on stdout")
    parser.add_argument("--rounds", type=int, help="default 3; 1 with --quick")
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.quick else 3)
    return options


def make(home: str, rows: int) -> None:
    make_home(home, rows)


def replay_and_merge(home: str) -> dict[str, float]:
    """CPU seconds of the replay, and of commit and merge; on a copy of the home."""
    from trainset.home import open_home
    from trainset.versions.replay import replay

    copy = beside(home, "copy")
    shutil.copytree(home, copy, copy_function=os.link)  # nothing is ever written in place
    versions = open_home(copy).versions
    workspace = versions.begin("theirs")
    read_media(open_home(copy), "ours").count()  # starts Lance, which is not part of the work
    replay_s, replayed = _timed(lambda: replay(versions, workspace))
    made = replayed.workspace

    def end() -> None:
        made.commit("theirs", {})
        made.merge()

    commit_s, _ = _timed(end)
    return {"replay": replay_s, "commit": commit_s}


def check(home: str) -> None:
    """Raise unless the copy holds what it must; then remove it."""
    copy = beside(home, "copy")
    check_merged(copy, f"{home}.arrow")
    shutil.rmtree(copy)


def plan(home: str) -> tuple[float, dict[str, int]]:
    """CPU seconds, and rows by what must happen to them."""
    from trainset.home import open_home
    from trainset.versions.rowapply import plan_table

    opened = open_home(home)
    base, ours, theirs = (read_media(opened, side) for side in ("base", "ours", "theirs"))
    cpu, merge = _timed(lambda: plan_table("media", base, ours, theirs))
    found = merge.plan
    counts = {
        "conflict": int((found.both | found.torn).sum()),  # by row: no peer compares columns
        "delete": int(found.delete.sum()),
        "insert": int(found.insert.sum()),
        "update": int(found.take.sum()),
    }
    return cpu, {what: count for what, count in counts.items() if count}


def duckdb(home: str) -> tuple[float, dict[str, int]]:
    from versions_peers import plan_by_duckdb

    return _peer(home, "duckdb", plan_by_duckdb)


def pandas(home: str) -> tuple[float, dict[str, int]]:
    from versions_peers import plan_by_pandas

    return _peer(home, "pandas", plan_by_pandas)


def _peer(
    home: str, module: str, work: Callable[..., dict[str, int]]
) -> tuple[float, dict[str, int]]:
    from trainset.home import open_home

    importlib.import_module(module)  # not part of the work
    opened = open_home(home)
    tables = [read_media(opened, side) for side in ("base", "ours", "theirs")]
    cpu, found = _timed(lambda: work(*(t.scan(["row_id", "row_fp"]).read_all() for t in tables)))
    return cpu, dict(sorted(found.items()))


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds of all threads, and what the work gave."""
    used = time.process_time()
    found = work()
    return time.process_time() - used, found


if __name__ == "__main__":
    main()
