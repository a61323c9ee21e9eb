"""Checks a commit against the bytes: media, files, rows, provenance and the root hash."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from trainset.errors import ChecksumMismatch, InputError
from trainset.model import Frozen
from trainset.report.wording import many, size
from trainset.tables.root_hash import root_hash
from trainset.tables.sampling import CONFIDENCE, most_bad
from trainset.tables.verify_media import distinct_media, draw, look_at_media
from trainset.tables.verify_rows import check_rows, fingerprint_columns

if TYPE_CHECKING:
    from trainset.dataset import Dataset

Progress = Callable[[int, int], None]  # media done, media in all


class Fault(Frozen):
    """One thing that is not what the commit says; ``reason`` ends with what to do."""

    key: str  # of a medium or row, path of a file, provenance/<run id>, or `root hash`
    kind: str  # checksum-mismatch, not-found, input, file, row, provenance, root-hash
    reason: str


class VerifyReport(Frozen):
    """What was looked at, and what was found.

    Attributes:
        media, checked, bad_media: distinct contents; those read, all or a sample; those at fault.
        seed: drew the sample; None: all were read.
        rows: whose fingerprints were hashed again; files: of the commit, tables' too.
        runs: those whose provenance chain was checked.
        root_hash, recorded_root_hash: of the tables as they are; the commit's own.
        unhashed: checked media that have no sha256 in this commit: only their pinned version, its
            size and its ETag were looked at.
        notes: what could not be compared whole, and why.
    """

    commit: str
    media: int
    checked: int
    bad_media: int
    bytes: int
    seed: int | None
    rows: int
    files: int
    runs: int
    faults: tuple[Fault, ...]
    root_hash: str
    recorded_root_hash: str | None
    unhashed: int = 0
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.faults

    @property
    def said(self) -> str:
        """The finding on media in one sentence; of a sample, what it says of the whole."""
        found = many(self.bad_media, "fault") if self.bad_media else "no fault"
        if self.seed is None:
            return f"{found} in all {many(self.media, 'medium', 'media')}"
        worst = most_bad(self.media, self.checked, self.bad_media)
        return (
            f"{found} in {self.checked:,} of {many(self.media, 'medium', 'media')} drawn at random "
            f"(seed {self.seed}): with {CONFIDENCE:.0%} confidence at most {worst:,} of them "
            f"({worst / self.media:.2%}) are bad"
        )


def verify_dataset(
    dataset: Dataset,
    *,
    sample: float | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> VerifyReport:
    """Hash again what a commit holds; content that several rows share is read once.

    Files, rows, provenance and the root hash are checked whole, of media all or a sample.

    Args:
        sample: of media: a share where it is less than 1, else how many; None: all.
        seed: draws the sample; the same seed draws the same of the same commit.
    """
    ids = distinct_media(dataset) if "media" in dataset.tables() else []
    chosen = draw(ids, sample, seed) if len(ids) else ids
    bad, read, unhashed = [], 0, 0
    for one in look_at_media(dataset, chosen, progress) if len(ids) else ():
        if one.error is not None:
            bad.append(_of_medium(one.key, one.error))
        read += one.size or 0
        unhashed += one.size is None
    files, loose, broken = _check_files(dataset)
    rows, foreign, changed = _check_rows(dataset)
    runs, unchained = _check_provenance(dataset)
    found = root_hash({name: dataset.open_table(name) for name in dataset.tables()})
    recorded = dataset.commit.metadata.get("root")
    faults = [*bad, *broken, *changed, *unchained]
    if recorded not in (None, found):
        faults.append(Fault(key="root hash", kind="root-hash", reason=_root(found, str(recorded))))
    return VerifyReport(
        commit=dataset.commit.id,
        media=len(ids),
        checked=len(chosen),
        bad_media=len(bad),
        bytes=read,
        seed=None if len(chosen) == len(ids) else seed,
        rows=rows,
        files=files,
        runs=runs,
        faults=tuple(faults),
        root_hash=found,
        recorded_root_hash=recorded,
        unhashed=unhashed,
        notes=tuple(_notes(dataset, unhashed, loose, foreign)),
    )


def _of_medium(key: str, err: InputError) -> Fault:
    if isinstance(err, ChecksumMismatch):
        reason = (
            f"the store holds sha256 {err.found}, the manifest says {err.expected}; bring it again "
            f"from its source: python -m flows replay SPEC --from send --files '{key}'"
        )
        return Fault(key=key, kind=err.kind, reason=reason)
    return Fault(key=key, kind=err.kind, reason=str(err))


def _check_files(dataset: Dataset) -> tuple[int, list[int], list[Fault]]:
    """How many files the commit holds, sizes of those without a hash, and what is wrong."""
    count, loose, faults = 0, [], []
    for file in dataset.snapshot.check_files():
        count += 1
        if file.fault is not None:
            faults.append(Fault(key=file.path, kind="file", reason=file.fault))
        elif not file.hashed:
            loose.append(file.size)
    return count, loose, faults


def _check_rows(dataset: Dataset) -> tuple[int, list[str], list[Fault]]:
    """How many rows were hashed, tables whose rows cannot be, and rows that differ."""
    count, foreign, faults = 0, [], []
    for name in dataset.tables():
        table = dataset.open_table(name)
        if (columns := fingerprint_columns(name, table.schema)) is None:
            foreign.append(name)
            continue
        for checked in check_rows(table, columns):
            count += checked.rows
            faults += [Fault(key=row, kind="row", reason=_row(name)) for row in checked.wrong]
    return count, foreign, faults


def _row(table: str) -> str:
    return (
        f"its values in {table} are not those that its fingerprint (row_fp) was made of: something "
        "else than a run of trainset changed it; go back to a version that is right: "
        "trainset rollback HOME --to REF"
    )


def _root(found: str, recorded: str) -> str:
    return (
        f"the tables hash to {found}, the commit says {recorded}: rows were added, removed or "
        "changed by something else than the run that made it; go back to a version that is right: "
        "trainset rollback HOME --to REF"
    )


def _notes(dataset: Dataset, unhashed: int, loose: list[int], foreign: list[str]) -> Iterator[str]:
    if unhashed:
        yield f"{unhashed:,} {_unhashed(dataset)}"
    if loose:
        yield (
            f"{many(len(loose), 'file')} ({size(sum(loose))}) were compared by size only: the "
            "lakeFS server keeps no checksum of files that came in parts; the root hash and the "
            "rows' fingerprints stand for what tables say"
        )
    for name in foreign:
        yield (
            f"the rows of {name} were not hashed again: another release made their fingerprints, "
            "of other columns; the next run that changes them makes them anew"
        )


def _unhashed(dataset: Dataset) -> str:
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
    parts: dict[str, list[str]] = {}
    for path in dataset.snapshot.list("provenance/"):
        if path.endswith(".parquet"):
            parts.setdefault(path.split("/")[1], []).append(path)
    if not parts:
        return 0, []
    from trainset.transfer.provenance import verify_events

    made_by, head = (dataset.commit.metadata.get(n) for n in ("run_id", "provenance"))
    faults = []
    for run_id, paths in parts.items():
        try:
            files = [dataset.snapshot.fetch(path).read_bytes() for path in paths]
            found = verify_events(files, run_id)
        except InputError as err:
            faults.append(Fault(key=f"provenance/{run_id}", kind="provenance", reason=str(err)))
            continue
        if run_id == made_by and head is not None and found != head:
            reason = (
                f"the events end in {found}, the commit says {head}: events were added or removed "
                "afterwards; put the files of this run back from a backup"
            )
            faults.append(Fault(key=f"provenance/{run_id}", kind="provenance", reason=reason))
    return len(parts), faults
