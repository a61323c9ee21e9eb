"""Kills a whole run with SIGKILL after each of its outward steps in turn, in one home.

A step is a call that changes something outside the process: an object, a ref, a table, the ledger,
a branch on the server. A run on a home of its own, which nothing disturbs, says which there are,
and what must come out. Then one home is walked through all of them: a run that dies after the first
step, a look at main, a run that dies after the second step, and so on; what a kill left is the next
run's affair. A script: it forks, which is safe only before Lance has started its threads. Prints
one JSON line a kill, and what the homes hold in the end.

Usage: kill_walk.py <folder> <calm home> <walked home> <versions> <steps, a regular expression>
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import json
import os
import pkgutil
import re
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from services.tiny_source import TinySource, make_tiny_source, picture

import trainset
from trainset.dataset import open as open_dataset
from trainset.errors import NotFound
from trainset.home import open_home
from trainset.run.local import run_pipeline

PICTURES = 3
STEPS = {
    "trainset.stores.local:LocalStore": ("put", "put_file", "delete"),
    "trainset.stores.s3:S3Store": ("put", "put_file", "delete", "delete_version"),
    "trainset.tables.lance_store:LanceTable": ("upsert", "delete", "add_columns", "commit_fills"),
    "trainset.tables.lance_store:LanceTableStore": ("create",),
    "trainset.compute.cache:CellCache": ("put",),
    "trainset.transfer.ledger.sqlite:SqliteLedger": ("_write",),
    "trainset.versions.refs:FolderRefs": ("move", "delete"),
    "trainset.versions.bucket:BucketRefs": ("move", "delete"),
    "trainset.versions.bucket:PackMirror": ("push",),
    "trainset.versions.repository:Repository": ("write_commit",),
    "trainset.versions.pool:FilePool": ("add",),
    "trainset.versions.workspace:GitWorkspace": ("commit", "merge", "discard"),
    "trainset.versions.lakefs.workspace:LakeFSWorkspace": ("commit", "merge", "discard"),
    "trainset.versions.lakefs.bulk:LinkCalls": ("_link",),
    "trainset.versions.lakefs.objects:Repository": (
        *("protect", "create_branch", "delete_branch", "commit_branch", "merge"),
        *("create_tag", "write", "delete", "link"),
    ),
}
_SETUP = re.compile(r"run-internal-setup-\w+")
_RUN = re.compile(r"(run-)?(\d{8}-\d{6}-[0-9a-f]{8}|internal-[\w-]+)[.\w]*")
Step = Callable[[str], None]


def main(folder: Path, calm: str, walked: str, versions: str, wanted: str) -> None:
    for module in pkgutil.walk_packages(trainset.__path__, "trainset."):
        importlib.import_module(module.name)  # once, not in every fork
    source = make_tiny_source(folder, pictures=PICTURES)
    columns = source.spec_fields["columns"]
    source.write_spec(columns={name: columns[name] for name in ("info", "thumb")})
    homes = {"calm": calm, "walked": walked}

    def use(which: str) -> None:
        on = versions if versions == "git" else f"{versions}-{which}"
        source.write_spec(home=homes[which], versions=on)

    use("calm")
    log = folder / "steps.txt"
    assert in_fork(lambda: run(source, note_to(log))) == 0
    steps = filter(re.compile(wanted).match, dict.fromkeys(log.read_text().splitlines()))
    use("walked")
    added, head, missed = 0, None, []
    for step in steps:
        for _ in range(2):
            died = os.WIFSIGNALED(in_fork(functools.partial(run, source, die_after(step))))
            now = look(source)
            whole = now["media"] == len(list(source.media.iterdir()))
            print(json.dumps({"step": step, "died": died, "whole": whole or now["head"] == head}))
            if now["head"] != head:  # there would be nothing left to do for the next run
                head, added = now["head"], added + 1
                add_more(source, added)
            if died:
                break
        else:
            missed.append(step)
    found = {}
    for which in ("calm", "walked"):
        use(which)
        assert in_fork(functools.partial(run, source)) == 0
        found[which] = look(source)
    print(json.dumps({"missed": missed, "added": added, **found}))


def add_more(source: TinySource, number: int) -> None:
    """A picture and its label, and a picture that is broken."""
    source.write(f"added-{number}.png", picture(100 + number))
    source.write(f"broken-{number}.jpg", b"\xff\xd8\xff\xe0 %d" % number)
    with (source.root / "labels" / "notes.csv").open("a") as notes:
        notes.write(f"added-{number}.png,a box more\n")


def run(source: TinySource, step: Step | None = None) -> None:
    if step is not None:
        watch(step)
    summary = run_pipeline(source.spec)
    assert summary.status in ("completed", "unchanged"), summary
    assert summary.transfer.balances


def watch(step: Step) -> None:
    """Let ``step`` be called after every outward step, with its name."""
    for place, methods in STEPS.items():
        module, _, name = place.partition(":")
        owner = getattr(importlib.import_module(module), name)
        for method in methods:
            original = getattr(owner, method)
            setattr(owner, method, _watched(f"{name}.{method}", original, step))


def _watched(name: str, original: Callable[..., Any], step: Step) -> Callable[..., Any]:
    @functools.wraps(original)
    def watched(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(self, *args, **kwargs)
        step(f"{name} {_of(self, args)}".strip())
        return result

    return watched


def _of(owner: Any, args: tuple[Any, ...]) -> str:
    """What the step was about, the same in every run: a table, or the first folders of a key."""
    if (location := getattr(owner, "location", None)) is not None:
        return str(location.uri).rstrip("/").rpartition("/")[2]
    if not args or not isinstance(args[0], str):
        return ""
    words = re.sub(r"^v\d+$", "v", _RUN.sub("run", _SETUP.sub("setup", args[0]))).split("/")
    if " " in args[0]:
        return ""  # a commit's message
    return "/".join(words[:2] if words[0] in ("run", "refs", "repo.git") else words[:1])


def note_to(log: Path) -> Step:
    def note(name: str) -> None:
        with log.open("a") as lines:
            lines.write(f"{name}\n")

    return note


def die_after(step: str) -> Step:
    def die(name: str) -> None:
        if name == step:
            os.kill(os.getpid(), signal.SIGKILL)

    return die


def look(source: TinySource) -> dict[str, Any]:
    """What main holds, as a reader on this machine finds it; every table is read."""
    log = source.root / "look.json"

    def read() -> None:
        try:
            home = open_home(source.spec.home)
            head = home.versions.head()
        except NotFound:
            head = None
        found: dict[str, Any] = {"head": None, "media": 0}
        if head is not None:
            dataset = open_dataset(source.spec.home, head.id)
            tables = {n: dataset.table(n).to_arrow() for n in dataset.tables()}
            found = {"head": head.id, "media": tables["media"].num_rows}
            found |= {"runs": list(home.versions.runs()), "rows": sum_of(tables)}
        log.write_text(json.dumps(found))

    assert in_fork(read) == 0
    return dict(json.loads(log.read_text()))


def sum_of(tables: dict[str, pa.Table]) -> str:
    """One hash of all rows, less what is another in every home: the time, and a bucket's ids."""
    own = {"ingested_at", "version_id", "row_fp"}
    kept = {name: rows.drop_columns(own & set(rows.column_names)) for name, rows in tables.items()}
    said = {name: sorted(map(str, rows.to_pylist())) for name, rows in kept.items()}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def in_fork(work: Callable[[], None]) -> int:
    """Do ``work`` in a process of its own; its wait status."""
    if (child := os.fork()) == 0:
        try:
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1]


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
