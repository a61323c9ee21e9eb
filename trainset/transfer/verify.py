"""Verification of destinations: listing (L2), reading back (L3), the sources too (L4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from trainset.errors import AccessDenied, InputError
from trainset.home import Home
from trainset.stores import open_store
from trainset.stores.base import ReadStore
from trainset.stores.held import list_held
from trainset.transfer.base import Outcome
from trainset.transfer.readback import Reading, Verdict, read_back
from trainset.transfer.reconcile import reconcile
from trainset.transfer.verify_report import (
    EXTRAS_LISTED,
    FAULTS_LISTED,
    Expected,
    FileSink,
    Level,
    ObjectFault,
    Source,
    VerifyResult,
    drawn,
    fault,
)
from trainset.transfer.verify_table import VerifyTable

THREADS = 8
_TOGETHER = 5_000  # verdicts that are written at once
_HOME = ""  # the place of uris that are relative to the home

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
    Raises:
        AccessDenied, NotFound: a destination cannot be listed at all.
        TransientError: a store failed too often; run again.
    """
    table = VerifyTable()
    try:
        table.add(((*_place_of(file.uri), file) for file in files), seed)
        extra, extras = 0, list[str]()
        objects = unhashed = read = clean = size = 0
        stores: dict[str, ReadStore] = {}
        if level >= "L2":
            stores = _open(table, home, open_place)
            for place, store in stores.items():
                for key in _listed(table, place, store, home if whole else None):
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
            stores[place] = home.store if place == _HOME else open_place(place)
        except AccessDenied:
            raise
        except InputError as err:
            reason = str(err)
            table.judge(
                (number, "L2", fault(file, "L2", "no-place", reason))
                for _, number, file in table.of_place(place)
            )
    return stores


def _listed(table: VerifyTable, place: str, store: ReadStore, whole: Home | None) -> Iterator[str]:
    """Judge all files of a place by its listing; yields the keys that nobody expects."""
    prefix = table.prefix(place)
    if whole is not None and place == _HOME:
        prefix = f"{whole.config.media}/"
    waiting: list[Verdict] = []
    for match in reconcile(
        table.of_place(place),
        lambda start: list_held(store, prefix, start),
        whole=whole is not None,
    ):
        if match.file is None:
            yield match.key
            continue
        settled = _same_bytes(store, match.key, match.file, match.fault)
        waiting.append((match.id, "L2", None if settled else match.fault))
        if len(waiting) >= _TOGETHER:
            table.judge(waiting)
            waiting.clear()
    table.judge(waiting)


def _same_bytes(store: ReadStore, key: str, file: Expected, found: ObjectFault | None) -> bool:
    """Whether another version is current because the same bytes were sent again."""
    if found is None or found.kind != "other-version" or file.sha256 is None:
        return False
    now = store.head(key)
    return now is not None and (now.size, now.sha256) == (file.size, file.sha256)


def _place_of(uri: str) -> tuple[str, str]:
    """Where a uri lies: a place to open, and the object's key there."""
    scheme, _, rest = uri.partition("://")
    if not rest:
        return ("/", uri[1:]) if uri.startswith("/") else (_HOME, uri)
    bucket, _, key = rest.partition("/")
    return f"{'s3' if scheme == 'b2' else scheme}://{bucket}", key


def same_place(uri: str, other: str) -> bool:
    """Whether two absolute uris name one object: media of reference mode stay at their source."""
    return "://" in uri and _place_of(uri) == _place_of(other)
