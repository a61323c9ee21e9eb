"""The commands of ``trainset``: options in, an ``Answer`` out. Heavy imports are inside them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from trainset.cli.output import Answer
from trainset.dataset import Dataset
from trainset.dataset import open as open_dataset
from trainset.errors import InputError, NotFound
from trainset.report.wording import many, reason_and_step, size
from trainset.tables.schema import is_computed_part

if TYPE_CHECKING:
    from trainset.model import Commit
    from trainset.spec import ExportSpec
    from trainset.tables.view import TableView

TABLE_ROWS = 50
# Columns that a table for people leaves out unless they are selected.
_QUIET = {
    *("row_id", "uri", "version_id", "sha256", "source_uri", "source_version", "missing_since"),
    *("ingested_at", "row_fp", "media_id", "media_ref", "geometry", "attributes"),
}
SHORT_VECTOR = 8  # numbers; longer ones are shown only when they are selected


def query(options: argparse.Namespace) -> Answer:
    view = _view(options)
    limit = options.limit
    if limit is None and options.format == "table":
        limit = TABLE_ROWS
    rows = (view if limit is None else view.limit(limit)).to_arrow().to_pylist()
    if limit is not None and len(rows) == limit and (total := view.count()) > limit:
        say(f"{limit} of {total} rows; say --limit {total} for all")
    return Answer(rows, _readable(rows, options))


def search(options: argparse.Namespace) -> Answer:
    view = _view(options)
    if options.words:
        if options.text is None:
            raise InputError("--words looks for words, not for an image; leave one of them out")
        view = view.match(options.text, options.k, column=options.column)
    else:
        view = view.search(options.text, image=options.image, k=options.k, column=options.column)
    rows = view.to_arrow().to_pylist()
    rows = [{"_score": row.pop("_score"), **row} for row in rows]
    return Answer(rows, _readable(rows, options))


def log(options: argparse.Namespace) -> Answer:
    commits = list(islice(open_dataset(options.home, options.ref).log(), options.limit))
    rows = [
        {"commit": c.id[:12], "made": c.created_at, "tags": ", ".join(c.tags), "message": c.message}
        for c in commits
    ]
    return Answer(commits, rows)


def show(options: argparse.Namespace) -> Answer:
    dataset = open_dataset(options.home, options.at or options.ref)
    tables: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    for name in dataset.tables():
        view = dataset.table(name)
        columns = view.columns
        tables.append({"name": name, "rows": view.count(), "columns": columns})
        rows += [{"table": name, **info.model_dump()} for info in columns]
    counts = [f"{table['name']}: {table['rows']} rows" for table in tables]
    title = [*_describe(dataset.commit), *counts, ""]
    return Answer({"commit": dataset.commit, "tables": tables}, rows, title)


def export(options: argparse.Namespace) -> Answer:
    from trainset.export import run_export

    dataset = open_dataset(options.home, options.ref)
    outcome = run_export(
        dataset,
        options.name,
        _export_spec(dataset, options),
        progress=lambda done: progress("samples")(done, None),
    )
    if outcome.reused:
        say(f"{outcome.result.path} is this very export already; nothing was written")
    for item in outcome.left_out:
        say(f"left out {item.key}: {item.reason}")
    data = {**outcome.result.model_dump(), "left_out": outcome.left_out, "reused": outcome.reused}
    rows = [{k: v for k, v in data.items() if k != "left_out"}]
    return Answer(data, rows, status=3 if outcome.left_out and not outcome.reused else 0)


def lineage(options: argparse.Namespace) -> Answer:
    found = open_dataset(options.home, options.ref).lineage(options.row)
    rows: list[dict[str, Any]] = [{"what": "row", "value": found.row_id}]
    rows += [{"what": n, "value": v} for n, v in found.source.items() if v is not None]
    for event in found.events:
        told = f"{event['time']:%Y-%m-%d %H:%M:%S} {event['type']} in run {event['run_id']}"
        rows.append({"what": "event", "value": told})
    for label in found.labels:
        facts = {n: v for n, v in label.items() if v is not None and n not in _QUIET}
        rows.append({"what": "label", "value": facts})
    for cell in found.cells:
        made = cell.function.operator if cell.function else "an unregistered function"
        by = f" by {made} ({cell.fn_id[:12]})" if cell.fn_id else ""
        why = f": {cell.error.get('message')}" if cell.error else ""
        rows.append({"what": f"column {cell.column}", "value": f"{cell.state}{by}{why}"})
    return Answer(found, rows, [found.key, *_describe(found.commit), ""], max_cell=200)


def verify(options: argparse.Namespace) -> Answer:
    from trainset.tables.verify import verify_dataset

    dataset = open_dataset(options.home, options.ref)
    report = verify_dataset(
        dataset, sample=options.sample, seed=options.seed, progress=progress("media")
    )
    if options.format == "json":
        for fault in report.faults:
            say(f"{fault.key}: {fault.reason}")
    for note in report.notes:
        say(note)
    root = "as the commit says" if report.recorded_root_hash else "the commit names none"
    title = [
        *_describe(dataset.commit),
        f"media: {report.said} ({size(report.bytes)} read)",
        f"tables: {many(report.rows, 'row')}; files: {report.files:,}; "
        f"provenance: {many(report.runs, 'run')}",
        f"root hash: {report.root_hash}, {root}"
        if all(fault.kind != "root-hash" for fault in report.faults)
        else f"root hash: {report.root_hash}, not the commit's",
        many(len(report.faults), "fault") if report.faults else "what was read is as it should be",
    ]
    data = {"ok": report.ok, "said": report.said, **report.model_dump()}
    rows = []
    for fault in report.faults:
        what, step = reason_and_step(fault.reason)
        rows.append({"what": fault.key, "kind": fault.kind, "found": what, "next": step})
    title += [""] if rows else []
    return Answer(data, rows, title, max_cell=160, empty="", status=0 if report.ok else 1)


def say(text: str) -> None:
    print(f"trainset: {text}", file=sys.stderr)


def progress(what: str) -> Callable[[int, int | None], None]:
    """Counts on one line of stderr, where that is a terminal."""

    def report(done: int, total: int | None) -> None:
        if sys.stderr.isatty():
            of = "" if total is None else f" of {total}"
            end = "\n" if done == total else ""
            print(f"\r{done}{of} {what}", end=end, file=sys.stderr, flush=True)

    return report


def _view(options: argparse.Namespace) -> TableView:
    view = open_dataset(options.home, options.ref).table(options.table)
    if options.where:
        view = view.where(options.where)
    if options.select:
        return view.select(options.select)
    shown = [f.name for f in view.schema if not (is_computed_part(f.name) or _is_long(f.type))]
    hidden = _QUIET if options.format == "table" else {"row_fp"}
    return view.select([name for name in shown if name not in hidden])


def _readable(
    rows: Sequence[Mapping[str, Any]], options: argparse.Namespace
) -> Sequence[Mapping[str, Any]]:
    """For people, and where no columns were asked for: without empty columns."""
    return rows if options.format != "table" or options.select else without_empty(rows)


def without_empty(rows: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """The rows without columns in which none has a value."""
    used = {name for row in rows for name, value in row.items() if value is not None}
    return [{name: value for name, value in row.items() if name in used} for row in rows]


def _is_long(type_: pa.DataType) -> bool:
    return bool(pa.types.is_fixed_size_list(type_) and type_.list_size > SHORT_VECTOR)


def _export_spec(dataset: Dataset, options: argparse.Namespace) -> ExportSpec:
    """The export of that name in the commit's spec, changed by the options; or a new one."""
    from pathlib import Path

    import yaml
    from pydantic import ValidationError

    from trainset.spec import ExportSpec, parse_spec

    given = {"format": options.as_, "where": options.where}
    given = {name: value for name, value in given.items() if value is not None}
    try:
        raw = yaml.safe_load(dataset.snapshot.read("_meta/spec.yaml"))
        known = parse_spec(raw, folder=Path.cwd(), origin="_meta/spec.yaml").exports
    except NotFound:
        known = {}
    if options.name in known:
        given = known[options.name].model_dump() | given
    elif options.as_ is None:
        raise InputError(
            f"the spec of this version has no export {options.name!r} (it has "
            f"{', '.join(known) or 'none'}); name one of them, or say --as webdataset"
        )
    try:
        return ExportSpec.model_validate(given)
    except ValidationError as err:
        raise InputError(f"--as {options.as_}: {err.errors()[0]['msg']}; mend it") from err


def _describe(commit: Commit) -> list[str]:
    tags = f" ({', '.join(commit.tags)})" if commit.tags else ""
    return [f"commit {commit.id}{tags}", f"{commit.created_at:%Y-%m-%d %H:%M:%S}  {commit.message}"]
