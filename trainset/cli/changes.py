"""Commands about how versions differ, going back, and staying: ``diff``, ``rollback``, ``lock``."""

from __future__ import annotations

import argparse
import shlex
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from trainset.cli.commands import say, without_empty
from trainset.cli.output import Answer
from trainset.dataset import open as open_dataset
from trainset.report.wording import many

if TYPE_CHECKING:
    from trainset.dataset_diff import DatasetDiff

DIFF_ROWS = 20  # of each kind, in a table for people
HOW = {
    "removed": "removed",
    "added": "added",
    "changed": "changed",
    "recomputed": "computed again",
}
_TOLD = ("how", "key", "column", "before", "after")


def diff(options: argparse.Namespace) -> Answer:
    found = open_dataset(options.home, options.new or options.ref).diff(options.old)
    if options.out:
        return _write_diff(found, options.out)
    if options.table:
        return _diff_rows(found, options)
    tables = [change.model_dump() for change in found.tables]
    rows = [
        {"table": change.table, **change.counts, "columns": change.schema_said or None}
        for change in found.tables
    ]
    data = {"old": found.old.commit.id, "new": found.new.commit.id, "tables": tables}
    return Answer(data, rows, [found.title, ""], max_cell=160, empty="no row differs")


def _diff_rows(found: DatasetDiff, options: argparse.Namespace) -> Answer:
    from trainset.versions.diff_file import change_lines

    limit = options.limit
    if limit is None and options.format == "table":
        limit = DIFF_ROWS
    changes = list(found.changes(options.table, limit=limit))
    for how, count in Counter(change.how for change in changes).items():
        if count == limit and (total := found.summary()[options.table][how]) > count:
            say(f"{count} of {total:,} rows {HOW[how]}; say --limit {total} for all")
    changes.sort(key=lambda change: (list(HOW).index(change.how), change.key))
    rows = list(change_lines(options.table, changes))
    told = [{name: row[name] for name in _TOLD} for row in rows]
    if options.format != "table":
        told = rows
    return Answer(rows, without_empty(told), [found.title, ""], empty="no row differs")


def _write_diff(found: DatasetDiff, out: Path) -> Answer:
    from trainset.stores.atomic import replacing

    if out.suffix == ".html":
        with replacing(out) as file:
            file.write(found.to_html().encode())
        lines = None
    else:
        lines = found.to_parquet(out)
    say(f"{found.title}: {out}" + ("" if lines is None else f", {many(lines, 'line')}"))
    data = {"out": str(out), "old": found.old.commit.id, "new": found.new.commit.id}
    return Answer(data | {"lines": lines})


def rollback(options: argparse.Namespace) -> Answer:
    from trainset.home import open_home

    versions = open_home(options.home).versions
    before = versions.head()
    commit = versions.rollback(options.to)
    found = [] if before is None else open_dataset(options.home).diff(before.id).tables
    say(f"main now holds what {options.to} holds; its history stays")
    if before is not None:
        say(f"to undo it: trainset rollback {shlex.quote(options.home)} --to {before.id[:12]}")
    rows = [{"commit": commit.id[:12], "table": t.table, **t.counts} for t in found]
    return Answer(commit, rows, [f"commit {commit.id}", commit.message, ""], empty="no row differs")


def lock(options: argparse.Namespace) -> Answer:
    from trainset.home import open_home
    from trainset.run.context import now
    from trainset.run.tag_lock import lock_tag
    from trainset.spec import TagLock

    wanted = TagLock(days=options.days, mode=options.mode)
    locked = lock_tag(open_home(options.home), options.ref, wanted, now=now())
    say(f"{locked.said}; a tag that is made later needs a lock of its own")
    return Answer(locked, [locked.model_dump()])
