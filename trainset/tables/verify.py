"""Checks a commit against the bytes: every medium hashed again, provenance, and the root hash."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from trainset.errors import InputError, NotFound
from trainset.model import Frozen
from trainset.tables.root_hash import root_hash

if TYPE_CHECKING:
    from trainset.dataset import Dataset

Progress = Callable[[int, int], None]  # media done, media in all

_PIECE = 4 * 2**20


class Fault(Frozen):
    """One medium, or one run's provenance, that is not what the commit says."""

    key: str
    kind: str  # checksum-mismatch, not-found, input, provenance
    reason: str


class VerifyReport(Frozen):
    """``media`` are distinct contents, ``runs`` those whose provenance chain was checked;
    ``root_hash`` is of the tables as they are, ``recorded_root_hash`` is the commit's own."""

    commit: str
    media: int
    checked: int
    bytes: int
    runs: int
    faults: tuple[Fault, ...]
    root_hash: str
    recorded_root_hash: str | None

    @property
    def ok(self) -> bool:
        return not self.faults and self.recorded_root_hash in (None, self.root_hash)


def verify_dataset(
    dataset: Dataset,
    *,
    sample: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> VerifyReport:
    """Hash the media of a commit again; content that several rows share is read once.

    Args:
        sample: check so many contents, drawn by ``seed``; None: all.
    """
    rows = dataset.table("media").where("uri is not null and sha256 is not null")
    found = rows.select(["key", "uri", "sha256"]).to_arrow().to_pylist()
    contents = {(row["uri"], row["sha256"]): row["key"] for row in found}
    chosen = sorted(contents)
    if sample is not None and sample < len(chosen):
        chosen = random.Random(seed).sample(chosen, sample)
    faults, size = [], 0
    for done, (uri, sha256) in enumerate(chosen, start=1):
        key = contents[uri, sha256]
        try:
            read, sha = _hash(dataset, uri)
            size += read
            if sha != sha256:
                reason = f"the store holds sha256 {sha}, the manifest says {sha256}"
                faults.append(Fault(key=key, kind="checksum-mismatch", reason=reason))
        except NotFound as err:
            faults.append(Fault(key=key, kind="not-found", reason=str(err)))
        except InputError as err:
            faults.append(Fault(key=key, kind=err.kind, reason=str(err)))
        if progress is not None:
            progress(done, len(chosen))
    runs, broken = _check_provenance(dataset)
    faults += broken
    return VerifyReport(
        commit=dataset.commit.id,
        media=len(contents),
        checked=len(chosen),
        bytes=size,
        runs=runs,
        faults=tuple(faults),
        root_hash=root_hash({name: dataset.open_table(name) for name in dataset.tables()}),
        recorded_root_hash=dataset.commit.metadata.get("root"),
    )


def _check_provenance(dataset: Dataset) -> tuple[int, list[Fault]]:
    """How many runs' events the commit holds, and which chains do not hold together.

    The head of the run that made the commit stands in the commit itself.
    """
    parts: dict[str, list[bytes]] = {}
    for path in dataset.snapshot.list("provenance/"):
        if path.endswith(".parquet"):
            run_id = path.split("/")[1]
            parts.setdefault(run_id, []).append(dataset.snapshot.fetch(path).read_bytes())
    if not parts:
        return 0, []
    from trainset.transfer.provenance import verify_events

    made_by, head = (dataset.commit.metadata.get(n) for n in ("run_id", "provenance"))
    faults = []
    for run_id, files in parts.items():
        try:
            found = verify_events(files, run_id)
        except InputError as err:
            faults.append(Fault(key=f"provenance/{run_id}", kind="provenance", reason=str(err)))
            continue
        if run_id == made_by and head is not None and found != head:
            reason = f"the events end in {found}, the commit says {head}"
            faults.append(Fault(key=f"provenance/{run_id}", kind="provenance", reason=reason))
    return len(parts), faults


def _hash(dataset: Dataset, uri: str) -> tuple[int, str]:
    """Size and sha256 of a medium; large ones are not held in memory."""
    if "://" in uri:
        data = dataset.read_media(uri)
        return len(data), hashlib.sha256(data).hexdigest()
    digest, size = hashlib.sha256(), 0
    with dataset.home.store.open(uri) as stream:
        while piece := stream.read(_PIECE):
            digest.update(piece)
            size += len(piece)
    return size, digest.hexdigest()
