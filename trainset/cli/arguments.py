"""The arguments of ``trainset``; each command is one function of ``commands``."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from trainset.cli import changes, commands, files

_WHERE = (
    "SQL condition; a dotted name of another table means that some row of it fits: "
    "\"annotations.class = 'car' and width >= 640\""
)


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Options with ``run``, the command's function. A usage error exits with status 2."""
    parser = argparse.ArgumentParser(
        prog="trainset",
        description="Look into a dataset at any version. Answers go to stdout, messages to stderr.",
    )
    subparsers = parser.add_subparsers(required=True, metavar="command")

    def command(
        name: str, run: Callable[[argparse.Namespace], Any], about: str, *, ref: bool = True
    ) -> argparse.ArgumentParser:
        sub = subparsers.add_parser(name, help=about, description=about)
        sub.set_defaults(run=run)
        sub.add_argument("home", help="a folder, s3://bucket/prefix or b2://bucket/prefix")
        if ref:
            sub.add_argument("--ref", default="main", help="branch, tag or commit id (main)")
        sub.add_argument("--format", choices=("table", "json", "csv"), default="table")
        return sub

    query = command("query", commands.query, "rows of a table")
    _add_selection(query)
    query.add_argument("--limit", type=_count, help="at most so many rows (table: 50, else all)")

    search = command("search", commands.search, "rows most like a text or an image, best first")
    search.add_argument("text", nargs="?", help="what to look for")
    search.add_argument("--image", type=Path, help="look for media like this file instead")
    search.add_argument("--words", action="store_true", help="match words, not meaning")
    search.add_argument("-k", type=_positive, default=10, help="how many rows (10)")
    search.add_argument("--column", help="the column to search (found by itself)")
    _add_selection(search)

    log = command("log", commands.log, "commits, newest first")
    log.add_argument("--limit", type=_count, help="at most so many commits")

    show = command("show", commands.show, "one commit: its tables and how far columns are filled")
    show.add_argument("at", nargs="?", metavar="REF", help="the same as --ref")

    diff = command("diff", changes.diff, "rows that differ between two versions", ref=False)
    diff.add_argument("old", metavar="A", help="the older ref")
    diff.add_argument("new", metavar="B", nargs="?", help="the newer ref (--ref, or main)")
    diff.add_argument("--ref", default="main", help="the newer ref")
    shown = diff.add_mutually_exclusive_group()
    shown.add_argument("--table", help="its rows, each column that differs with both values")
    shown.add_argument(
        "--out",
        type=_page_or_parquet,
        metavar="FILE",
        help="write it all: a page with pictures (.html), or every row (.parquet)",
    )
    diff.add_argument(
        "--limit", type=_count, help="of --table: at most so many rows of a kind (table: 20)"
    )

    export = command("export", commands.export, "write a training export of a version")
    export.add_argument(
        "--name", required=True, help="of the export: one of the spec, or a new one"
    )
    export.add_argument("--as", dest="as_", metavar="FORMAT", help="webdataset or huggingface")
    export.add_argument("--where", help=_WHERE)

    lineage = command("lineage", commands.lineage, "where one row comes from")
    lineage.add_argument("row", help="row id or key")

    trace = command("trace", files.trace, "a file's whole story, over all runs (times in UTC)")
    trace.add_argument("file", help="key, path, source uri, sha256 or row id")

    dead_letters = command(
        "dead-letters", files.dead_letters, "files that no run tries again by itself", ref=False
    )
    dead_letters.add_argument("--kind", help="of one kind of error only")
    dead_letters.add_argument(
        "--where",
        help="only those that --retry-dead --where would take: \"kind = 'input' and size < 1e6\"",
    )

    verify = command(
        "verify",
        commands.verify,
        "hash media, files and rows again; check provenance and the root hash",
    )
    verify.add_argument(
        "--sample",
        type=_sample,
        help="of media: so many (300) or a share (1%%), drawn at random; says what that proves",
    )
    verify.add_argument("--seed", type=int, default=0, help="draws the sample (0)")

    rollback = command(
        "rollback", changes.rollback, "make main hold what an older version holds", ref=False
    )
    rollback.add_argument("--to", required=True, metavar="REF", help="the version to go back to")

    lock = command(
        "lock", changes.lock, "Object Lock: let nobody delete what a version needs to be read"
    )
    lock.add_argument("--days", type=_positive, required=True, help="from now on")
    lock.add_argument(
        "--mode",
        choices=("governance", "compliance"),
        default="governance",
        help="governance (a key with bypassGovernance may delete) or compliance (nobody may)",
    )

    options = parser.parse_args(argv)
    if options.run is commands.search and (options.text is None) == (options.image is None):
        search.error("give a text, or --image FILE")
    return options


def _add_selection(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--table", default="media", help="media (default), annotations or media_labels_status"
    )
    parser.add_argument("--where", help=_WHERE)
    parser.add_argument("--select", help="columns, separated by commas")


def _count(text: str) -> int:
    if (value := int(text)) < 0:
        raise argparse.ArgumentTypeError(f"{text} is negative")
    return value


def _sample(text: str) -> float | None:
    """A count, a share below 1, or None for all."""
    share = text.endswith("%")
    value = float(text.removesuffix("%")) / (100 if share else 1)
    if value <= 0 or (share and value > 1) or (value > 1 and value != int(value)):
        raise argparse.ArgumentTypeError(f"{text} is no sample: write 300, 1% or 0.01")
    return None if share and value == 1 else value


def _page_or_parquet(text: str) -> Path:
    path = Path(text)
    if path.suffix not in (".html", ".parquet"):
        raise argparse.ArgumentTypeError(f"{text} is neither .html nor .parquet; name one of them")
    return path


def _positive(text: str) -> int:
    if (value := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return value
