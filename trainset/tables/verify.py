"""Checks a commit against the bytes: every medium hashed again, provenance, and the root hash."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from trainset.errors import ChecksumMismatch, InputError
from trainset.home import is_outside
from trainset.model import Frozen
from trainset.stores.pinned import head_pinned
from trainset.tables.root_hash import root_hash

if TYPE_CHECKING:
    from trainset.dataset import Dataset

Progress = Callable[[int, int], None]  # media done, media in all

_PIECE = 4 * 2**20
_COLUMNS = ["key", "uri", "version_id", "sha256", "size", "source_uri", "source_version"]


class Fault(Frozen):
    """One medium, or one run's provenance, that is not what the commit says."""

    key: str
    kind: str  # checksum-mismatch, not-found, input, provenance
    reason: str


class VerifyReport(Frozen):
    """``media`` are distinct contents, ``runs`` those whose provenance chain was checked;
    ``root_hash`` is of the tables as they are, ``recorded_root_hash`` is the commit's own.

    ``unhashed`` of the checked media have no sha256 in this commit: only their pinned version, its
    size and its ETag were looked at; ``note`` says how they get one.
    """

    commit: str
    media: int
    checked: int
    bytes: int
    runs: int
    faults: tuple[Fault, ...]
    root_hash: str
    recorded_root_hash: str | None
    unhashed: int = 0
    note: str | None = None

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

    Media outside the home are read at the version that the commit pins.

    Args:
        sample: check so many contents, drawn by ``seed``; None: all.
    """
    rows = dataset.table("media").where("uri is not null").select(_COLUMNS).to_arrow().to_pylist()
    contents = {(r["uri"], _pin(r), r["sha256"] or ""): r for r in rows}
    chosen = sorted(contents)
    if sample is not None and sample < len(chosen):
        chosen = random.Random(seed).sample(chosen, sample)
    faults, size, unhashed = [], 0, 0
    for done, content in enumerate(chosen, start=1):
        row = contents[content]
        try:
            if row["sha256"] is None:
                unhashed += 1
                _look(dataset, row)
            else:
                size += _hash(dataset, row)
        except ChecksumMismatch as err:
            reason = f"the store holds sha256 {err.found}, the manifest says {err.expected}"
            faults.append(Fault(key=row["key"], kind=err.kind, reason=reason))
        except InputError as err:
            faults.append(Fault(key=row["key"], kind=err.kind, reason=str(err)))
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
        unhashed=unhashed,
        note=_note(dataset) if unhashed else None,
    )


def _note(dataset: Dataset) -> str:
    """A commit does not change: the sha256s that it lacks come with a later one."""
    names = dataset.table("media").schema.names
    how = "the next run that computes their cells fills it in"
    if not any(name.endswith("__fn") for name in names):
        how = (
            "the dataset has no computed column, whose run would fill it in: add one under "
            "`columns:` (image_info is the cheapest), or adopt with hash: true"
        )
    return f"media without a sha256 were compared by pinned version, size and ETag only; {how}"


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


def _pin(row: Mapping[str, Any]) -> str:
    return (row["version_id"] or "") if is_outside(row["uri"]) else ""


def _hash(dataset: Dataset, row: Mapping[str, Any]) -> int:
    """Size of a medium that is what its row says; large ones are not held in memory."""
    digest, size = hashlib.sha256(), 0
    with dataset.home.open_media(row["uri"], row["version_id"]) as stream:
        while piece := stream.read(_PIECE):
            digest.update(piece)
            size += len(piece)
    if digest.hexdigest() != row["sha256"]:
        raise ChecksumMismatch(row["key"], expected=row["sha256"], found=digest.hexdigest())
    return size


def _look(dataset: Dataset, row: Mapping[str, Any]) -> None:
    """Check what is known of a medium without a sha256; no byte is read."""
    store, key = dataset.home.media_store(row["uri"])
    info = head_pinned(store, key, row["version_id"]).info
    in_place = row["uri"] == row["source_uri"]  # then the source's version is the object's own
    expected = (row["size"], row["source_version"] if in_place else info.version)
    if (info.size, info.version) != expected:
        raise InputError(
            f"{row['uri']}: {info.size} bytes of version {info.version}, the manifest says "
            f"{expected[0]} bytes of {expected[1]}; run the pipeline again to take up what is there"
        )
