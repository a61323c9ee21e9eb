"""Verification of destinations: listing (L2), reading back (L3), the sources too (L4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from trainset.errors import AccessDenied, InputError
from trainset.home import Home
from trainset.stores import open_store
from trainset.stores.base import PartLog, ReadStore
from trainset.transfer.base import Outcome
from trainset.transfer.leftovers import Leftovers, Referenced
from trainset.transfer.readback import Reading, read_back
from trainset.transfer.verify_listing import judge_listing
from trainset.transfer.verify_report import (
    EXTRAS_LISTED,
    FAULTS_LISTED,
    Expected,
    FileSink,
    Level,
    Source,
    VerifyResult,
    drawn,
    fault,
)
from trainset.transfer.verify_table import VerifyTable

THREADS = 8
HOME = ""  # the place of uris that are relative to the home

Progress = Callable[[int, int], None]  # objects read, objects to read


def verify_outcomes(
    outcomes: Iterable[Outcome],
    *,
    home: Home,
    sources: Mapping[str, ReadStore],
    level: Level,
    sample: float = 1.0,
    seed: int = 0,
    open_place: Callable[[str], ReadStore] = open_store,
    progress: Progress | None = None,
    on_file: FileSink | None = None,
) -> VerifyResult:
    """Verify what a transfer sent, or found there already; outcomes that did not arrive are let be.

    See ``verify_files``.
    """
    return verify_files(
        (expected_of(outcome) for outcome in outcomes if outcome.arrived),
        home=home,
        sources=sources,
        level=level,
        sample=sample,
        seed=seed,
        open_place=open_place,
        progress=progress,
        on_file=on_file,
    )


def expected_of(outcome: Outcome) -> Expected:
    """What must be at the destination after an outcome that arrived."""
    file = outcome.file
    assert outcome.uri is not None
    return Expected(
        key=file.key,
        uri=outcome.uri,
        size=file.size,
        etag=outcome.etag,
        version_id=outcome.version_id,
        sha256=outcome.sha256,
        pinned=same_place(outcome.uri, file.uri),
        source=Source(file.source, file.path, file.size, file.version, file.version_id),
        source_uri=file.uri,
    )


def verify_files(
    files: Iterable[Expected],
    *,
    home: Home,
    sources: Mapping[str, ReadStore],
    level: Level,
    sample: float = 1.0,
    seed: int = 0,
    whole: bool = False,
    open_place: Callable[[str], ReadStore] = open_store,
    progress: Progress | None = None,
    on_file: FileSink | None = None,
    referenced: Referenced | None = None,
    parts: PartLog | None = None,
    threads: int = THREADS,
) -> VerifyResult:
    """Look whether every file is at its destination as it was sent; constant memory.

    Args:
        sources: L4: stores by name of the `media:` entry.
        level: below L2 nothing is looked at here: L1 was done by the store at each upload.
        sample: share of objects (0 to 1) that L3 and L4 read, drawn by ``seed``; the same objects
            for the same seed, whatever the order of the files.
        whole: the files are all that should be there: also tell what is there beside them.
        open_place: opens ``s3://bucket`` or the folder ``/`` for uris that are not in the home.
        on_file: told of every file at the end.
        referenced: with ``whole``: asked which of some absolute uris, that none of the files has,
            something else refers to (``leftovers``).
        parts: with ``whole``: the memory of uploads that a next run goes on with.
    Raises:
        AccessDenied, NotFound: a destination cannot be listed at all.
        TransientError: a store failed too often; run again.
    """
    table = VerifyTable()
    try:
        table.add(((*place_of(file.uri), file) for file in files), seed)
        extra, extras = 0, list[str]()
        objects = unhashed = read = clean = size = 0
        stores: dict[str, ReadStore] = {}
        beside = Leftovers(referenced, parts) if whole else None
        if level >= "L2":
            stores = _open(table, home, open_place)
            for place, store in stores.items():
                media = f"{home.config.media}/" if whole and place == HOME else None
                for key in judge_listing(table, place, store, media, beside):
                    extra += 1
                    extras += [store.uri(key)] if len(extras) < EXTRAS_LISTED else []
            objects, unhashed = table.count_objects()
        if level >= "L3":
            chosen = table.draw(drawn(objects - unhashed, sample))
            readings = (
                Reading(stores[place], key, version, table.of_object(place, key, version))
                for place, key, version in chosen
            )
            again = sources if level == "L4" else None
            for found in read_back(readings, again, threads=threads):
                table.judge(found.verdicts)
                read, clean, size = read + 1, clean + found.clean, size + found.bytes
                if progress is not None:
                    progress(read, len(chosen))
        kinds, leftovers = ((), ()) if beside is None else beside.ended()
        expected, faulty, reached = table.counts()
        checked = faulty + sum(reached.values())
        if on_file is not None:
            for check in table.checks():
                on_file(check)
        return VerifyResult(
            level=level,
            sample=sample,
            seed=seed,
            expected=expected,
            checked=checked,
            unchecked=expected - checked,
            faulty=faulty,
            reached=reached,
            objects=objects,
            read=read,
            clean=clean,
            bytes_read=size,
            unhashed=unhashed,
            extra=extra if whole and level >= "L2" else None,
            extras=tuple(extras),
            beside=kinds,
            leftovers=leftovers,
            not_listed=() if beside is None else tuple(beside.not_listed),
            faults=tuple(table.faults(FAULTS_LISTED)),
        )
    finally:
        table.close()


def _open(
    table: VerifyTable, home: Home, open_place: Callable[[str], ReadStore]
) -> dict[str, ReadStore]:
    """The stores of all places; files of a place that nothing here can open are at fault."""
    stores: dict[str, ReadStore] = {}
    for place in table.places():
        try:
            stores[place] = home.store if place == HOME else open_place(place)
        except AccessDenied:
            raise
        except InputError as err:
            reason = str(err)
            table.judge(
                (number, "L2", fault(file, "L2", "no-place", reason))
                for _, number, file in table.of_place(place)
            )
    return stores


def place_of(uri: str) -> tuple[str, str]:
    """Where a uri lies: a place to open, and the object's key there."""
    scheme, _, rest = uri.partition("://")
    if not rest:
        return ("/", uri[1:]) if uri.startswith("/") else (HOME, uri)
    bucket, _, key = rest.partition("/")
    return f"{'s3' if scheme == 'b2' else scheme}://{bucket}", key


def same_place(uri: str, other: str) -> bool:
    """Whether two absolute uris name one object: media of reference mode stay at their source."""
    return "://" in uri and place_of(uri) == place_of(other)
