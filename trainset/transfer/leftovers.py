"""What lies at a destination beside what should: streams that nothing refers to, hidden objects,
versions that came twice, unfinished uploads. Nothing here removes any of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple

from trainset.errors import InputError
from trainset.model import Frozen
from trainset.stores.base import PartLog, ReadStore
from trainset.stores.held import Held
from trainset.transfer.streams import is_stream, parse_note

if TYPE_CHECKING:
    from trainset.stores.s3 import S3Store

LISTED = 100  # of each kind; the counts are of all
SIZED = 1_000  # unfinished uploads whose parts are counted, a request each

Kind = Literal["stream", "hidden", "versions", "upload"]
KINDS: tuple[Kind, ...] = ("stream", "hidden", "versions", "upload")

# uris -> which of them something else still refers to, and what: an older commit, a ledger
Referenced = Callable[[Collection[str]], Mapping[str, str]]


class Leftover(Frozen):
    """One thing that is stored, and paid for, without a row of the verified files needing it.

    kind: stream (a streamed object ``…/u/<upload>`` that no row names), hidden (a delete marker is
    the newest of its key), versions (more versions of a content than one), upload (unfinished).
    """

    kind: Kind
    uri: str
    bytes: int
    reason: str
    step: str


class KindCount(Frozen):
    kind: Kind
    count: int
    bytes: int


class _Candidate(NamedTuple):
    uri: str
    versions: int
    bytes: int


class Leftovers:
    """Collects while destinations are listed; then ``ended``."""

    def __init__(self, referenced: Referenced | None, parts: PartLog | None) -> None:
        """See ``verify.verify_files``."""
        self._referenced, self._parts = referenced, parts
        self._counts: dict[Kind, list[int]] = {kind: [0, 0] for kind in KINDS}
        self._listed: dict[Kind, list[Leftover]] = {kind: [] for kind in KINDS}
        self._streams: list[_Candidate] = []
        self._hidden: list[_Candidate] = []
        self.not_listed: list[str] = []

    def unexpected(self, store: ReadStore, held: Held) -> None:
        """A key that none of the files has."""
        if parse_note(held.key) is not None:
            return  # it goes with its stream
        size = sum(version.size for version in held.versions)
        found = _Candidate(store.uri(held.key), len(held.versions), size)
        if held.hidden and held.versions:
            self._hidden.append(found)
        elif is_stream(held.key) and held.versions:
            self._streams.append(found)

    def expected(self, store: ReadStore, held: Held, wanted: Collection[str | None]) -> None:
        """A content that some files have: one version of it is enough.

        Args:
            wanted: version ids that the files name.
        """
        found = [v for v in held.versions if v.version_id in wanted]
        beside = [v for v in held.versions if v.version_id not in wanted]
        surplus = beside if found else beside[1:]
        if surplus:
            self._note(
                "versions",
                store.uri(held.key),
                sum(version.size for version in surplus),
                f"it has {len(held.versions)} versions, and one is needed: {len(surplus)} came "
                "when a reply was lost or a run was killed",
                "delete the older versions with a key that has deleteFiles; readers take any",
            )

    def uploads(self, store: ReadStore, prefix: str) -> None:
        """Look for unfinished uploads below a prefix; a folder has none."""
        from trainset.stores.s3 import S3Store  # late: boto3 comes with it

        if not isinstance(store, S3Store):
            return
        try:
            for reason, step, uri, size in _uploads(store, prefix, self._parts):
                self._note("upload", uri, size, reason, step)
        except InputError as err:
            self.not_listed.append(f"unfinished uploads of {store.uri(prefix or '')}: {err}")

    def ended(self) -> tuple[tuple[KindCount, ...], tuple[Leftover, ...]]:
        """(counts by kind, the first of each kind), once all destinations were listed."""
        candidates = {c.uri for c in (*self._streams, *self._hidden)}
        known = self._referenced(candidates) if self._referenced and candidates else {}
        for stream in self._streams:
            if stream.uri not in known:
                self._note("stream", stream.uri, stream.bytes, *_STREAM)
        for hidden in self._hidden:
            self._note("hidden", hidden.uri, hidden.bytes, *_hidden(hidden, known.get(hidden.uri)))
        counts = tuple(
            KindCount(kind=kind, count=count, bytes=size)
            for kind, (count, size) in self._counts.items()
            if count
        )
        return counts, tuple(one for listed in self._listed.values() for one in listed)

    def _note(self, kind: Kind, uri: str, size: int, reason: str, step: str) -> None:
        self._counts[kind][0] += 1
        self._counts[kind][1] += size
        if len(self._listed[kind]) < LISTED:
            found = Leftover(kind=kind, uri=uri, bytes=size, reason=reason, step=step)
            self._listed[kind].append(found)


_STREAM = (
    "no commit and no ledger that was asked refers to this streamed object",
    "run the transfer: it takes the object when its source is still there; else delete it",
)


def _hidden(found: _Candidate, referred: str | None) -> tuple[str, str]:
    reason = f"a delete marker hides {found.versions} versions of it, which stay stored"
    if referred is not None:
        return f"{reason}; {referred} refers to it", "delete the newest delete marker of the key"
    return reason, "delete its versions for good, or the marker to have it back"


def _uploads(
    store: S3Store, prefix: str, parts: PartLog | None
) -> Iterator[tuple[str, str, str, int]]:
    """(reason, step, uri, bytes) of each unfinished upload."""
    from trainset.stores.s3_uploads import iter_uploads, uploaded_bytes

    for number, upload in enumerate(iter_uploads(store, prefix)):
        uri = store.uri(upload.key)
        count, size = uploaded_bytes(store, upload) if number < SIZED else (0, 0)
        reason = f"upload {upload.upload_id} was begun at {upload.begun:%Y-%m-%d %H:%M} UTC"
        reason += f" and has {count} parts" if number < SIZED else ""
        mine = parts.find(uri) if parts is not None else None
        if mine is not None and mine.upload_id == upload.upload_id:
            step = "run the transfer: it goes on from there"
            yield f"{reason}; the ledger knows it", step, uri, size
        else:
            step = "abort it by its id, or let a lifecycle rule (AbortIncompleteMultipartUpload) do"
            yield f"{reason}; no ledger that was asked knows it", step, uri, size
