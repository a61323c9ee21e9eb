"""The provenance of a run and of a verification, from what their steps left."""

from __future__ import annotations

import hashlib
import os
import socket
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from trainset import __version__
from trainset.home import Home
from trainset.identity import canonical_json
from trainset.run.context import Run
from trainset.run.replay import replayed_keys
from trainset.spec import DatasetSpec
from trainset.transfer.base import Outcome
from trainset.transfer.provenance import (
    SUMS,
    EventFile,
    EventWriter,
    Origin,
    check_events,
    describe_routes,
    put_events,
)
from trainset.transfer.verify_report import FileCheck, FileSink, ObjectFault

Told = tuple[Origin | None, Iterable[Outcome]]  # None: the writer itself


def write_events(
    run: Run,
    told: Iterable[Told],
    faults: Mapping[str, ObjectFault],
    *,
    parents: Mapping[str, str],
    committed: bool,
) -> str | None:
    """Put the run's events into its commit; returns the head of their hash chain.

    A run that changes no row leaves no commit: its events go to ``runs/<run_id>/provenance``, if
    something was left out, or replayed.

    Args:
        told: outcomes before the verification, by who brought them about; ``faults`` is what the
            verification found, by key.
        parents: of duplicates: ``parents.first_files``.
    """
    context, parts = run.context, list[Path]()

    def put(part: EventFile) -> None:
        parts.append(run.scratch / part.name)
        parts[-1].write_bytes(part.data)

    rules = describe_routes(run.spec.transfer.routes)
    origin = origin_of(run.spec, context.flow_run_id)
    writer = EventWriter(context.run_id, put, at=context.started_at, origin=origin, rules=rules)
    with run.ledger as ledger:
        dead = frozenset(letter.key for letter in ledger.dead_letters())
    replayed = replayed_keys(run)
    told_all = committed or run.context.replay is not None
    for who, outcomes in told:
        writer.add(
            (o for o in outcomes if told_all or not o.arrived or o.file.key in faults),
            dead=dead,
            replayed=replayed,
            replay=run.context.replay,
            faults=faults,
            parents=parents,
            origin=who,
        )
    log = writer.close()
    if not parts:
        return None
    if not committed:
        put_events(run.home.store, f"runs/{context.run_id}/provenance", parts, log.sums)
        return None
    folder = f"provenance/{context.run_id}"
    for part in parts:
        run.workspace.put_file(f"{folder}/{part.name}", part)
    run.workspace.write(f"{folder}/{SUMS}", log.sums)
    return log.head


@contextmanager
def verify_events(
    home: Home, run_id: str, at: datetime, origin: Origin
) -> Iterator[tuple[FileSink, list[str]]]:
    """A sink for checked files, whose VERIFY events then lie in ``runs/<run_id>/provenance``.

    The list that comes with it has the head of their hash chain when the block has ended; it
    stays empty when no file was checked.
    """
    head: list[str] = []
    with tempfile.TemporaryDirectory(dir=home.state, prefix="verify-") as folder:
        parts = list[Path]()

        def put(part: EventFile) -> None:
            parts.append(Path(folder) / part.name)
            parts[-1].write_bytes(part.data)

        writer = EventWriter(run_id, put, at=at, origin=origin)

        def note(check: FileCheck) -> None:
            writer.add_events(check_events(check, at))

        yield note, head
        log = writer.close()
        if parts:
            put_events(home.store, f"runs/{run_id}/provenance", parts, log.sums)
            head.append(log.head)


def origin_of(
    spec: DatasetSpec,
    flow_run_id: str | None = None,
    task_run_id: str | None = None,
    batch_id: str | None = None,
) -> Origin:
    """This process, and under which settings it works."""
    return Origin(
        flow_run_id=flow_run_id,
        task_run_id=task_run_id,
        batch_id=batch_id,
        host=socket.gethostname(),
        worker=str(os.getpid()),
        code_version=__version__,
        config_hash=config_hash(spec),
    )


def config_hash(spec: DatasetSpec) -> str:
    """sha256 over the sources, the rules and the protection of a spec: what decides a transfer."""
    said = spec.model_dump(mode="json", by_alias=True, include={"media", "transfer", "protect"})
    return hashlib.sha256(canonical_json(said)).hexdigest()
