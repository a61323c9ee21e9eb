"""Large files that lie on a server: copied by the store itself, or streamed part by part."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, cast

from trainset.errors import SourceChanged, TrainsetError, VersionGone
from trainset.model import MediaFacts
from trainset.stores.base import ObjectInfo, PartLog, ReadStore
from trainset.stores.held import hash_object
from trainset.transfer.base import Outcome, SourceFile
from trainset.transfer.claims import Lanes
from trainset.transfer.deliver import Delivery, Put, errors_of
from trainset.transfer.places import Held, Place
from trainset.transfer.plan import turned_away
from trainset.transfer.read import Probe, check_unchanged
from trainset.transfer.remote import (
    ReadRange,
    Remote,
    hash_remote,
    look_into,
    named_sha256,
    open_remote,
    trusted_sha256,
)
from trainset.transfer.route import Decision
from trainset.transfer.server_copy import CopyRefused, ServerCopier
from trainset.transfer.streams import note_key, parse_note

if TYPE_CHECKING:
    from trainset.stores.s3 import S3Store

STREAM_MEMORY = 64 * 2**20  # parts of one file that are held at once (``stores.s3_ranges``)


class _Streamed(NamedTuple):
    """A streamed object: ``sent`` bytes went out for it now; ``noted``: its note is there."""

    key: str
    info: ObjectInfo
    sha256: str
    sent: int
    noted: bool


class RemoteSender:
    """Sends files without a local copy; threads share it. See ``send_file.FileSender``."""

    def __init__(
        self,
        sources: Mapping[str, ReadStore],
        delivery: Delivery,
        copier: ServerCopier,
        parts: PartLog,
        *,
        lanes: Lanes,
        probe: Probe,
        memory_bytes: int,
    ) -> None:
        self._sources, self._delivery, self._copier, self._parts = sources, delivery, copier, parts
        self._lanes, self._probe, self._memory_bytes = lanes, probe, memory_bytes

    def send(self, file: SourceFile, owner: str, *, look: bool) -> Outcome | None:
        """Bring one file to its place; None: this is not the way for it.

        Raises as ``FileSender.send``.
        """
        store = self._sources[file.source]
        large = file.size > self._memory_bytes
        if not (large or named_sha256(file.path)) or file.size == 0:
            return None
        if (remote := open_remote(file, store)) is None:
            return None
        sha256 = trusted_sha256(file, remote)
        if not large and sha256 is None:
            return None
        facts = look_into(file, remote, self._probe)
        decision = self._delivery.route(file, facts)
        if decision.action != "take":
            return turned_away(file, decision)
        place = self._delivery.places.of(decision)
        found = remote.found
        if found is not None and self._copier.can(file, store, place):
            known = sha256 or hash_remote(file, store, remote)

            def copy() -> Put:
                return self._copier.copy(file, store, found, place, known, facts.mime)

            try:
                return self._delivery.bring(file, facts, decision, known, owner, copy, look=look)
            except CopyRefused:
                pass
        if not large or not place.store.url.startswith("s3://"):
            return None
        return self._stream(file, remote, facts, decision, owner, look=look)

    def _stream(
        self,
        file: SourceFile,
        remote: Remote,
        facts: MediaFacts,
        decision: Decision,
        owner: str,
        *,
        look: bool,
    ) -> Outcome:
        """Send while reading, and learn the sha256 on the way; equal bytes that are there win."""
        place = self._delivery.places.of(decision)
        with self._lanes.memory.hold(min(file.size, STREAM_MEMORY)):
            key, info, sha256, moved, noted = self._streamed(file, remote, facts, place)
        streamed = Held.of(place.uri(key), info)
        if remote.found is None:
            self._check_after(file, place, key, info)
        if not noted:
            _note_sha256(place, key, sha256)
        put = Put(streamed, moved, "streamed: its sha256 was known when it was sent")
        outcome = self._delivery.bring(file, facts, decision, sha256, owner, lambda: put, look=look)
        if outcome.uri == streamed.uri:
            return outcome
        _delete(place, key, info)
        _delete(place, note_key(key, sha256), None)
        reason = f"its bytes were in the home already; what was streamed to {key} is deleted"
        return outcome.model_copy(update={"moved_bytes": moved, "reason": reason})

    def _streamed(
        self, file: SourceFile, remote: Remote, facts: MediaFacts, place: Place
    ) -> _Streamed:
        """The streamed object, and what became known of it.

        Its key is of this version of the file, so that another process finds the upload. A key
        that has an object is never written again: it is taken when the note beside it says its
        sha256 (an earlier run's ledger is lost), or when its bytes are the source's (that run died
        before it could note them); else it is passed over.
        """
        name = hashlib.sha256(f"{file.uri}\0{file.version}\0{file.size}".encode()).hexdigest()[:32]
        store = cast("S3Store", place.store)
        source_sha256: str | None = None
        number = 0
        while True:
            key = place.stream_key(name if number == 0 else f"{name}.{number}")
            with errors_of(place):
                info = store.head(key)
            if info is None:
                with _source_faults(file) as told, errors_of(place):
                    info, sha256 = store.put_ranges(
                        key,
                        file.size,
                        told(remote.read),
                        content_type=facts.mime,
                        parts=self._parts,
                    )
                return _Streamed(key, info, sha256, file.size, noted=False)
            if info.size == file.size and (said := _noted_sha256(place, key)) is not None:
                self._parts.end(store.uri(key))
                return _Streamed(key, info, said, 0, noted=True)
            if info.size == file.size:
                source_sha256 = source_sha256 or hash_remote(
                    file, self._sources[file.source], remote
                )
                with errors_of(place):
                    found = hash_object(store, key, info.version_id)[1]
                if found == source_sha256:
                    self._parts.end(store.uri(key))
                    return _Streamed(key, info, found, 0, noted=False)
            number += 1

    def _check_after(self, file: SourceFile, place: Place, key: str, info: ObjectInfo) -> None:
        """A server that pins no version: what changed while it was read is not kept."""
        try:
            check_unchanged(file, self._sources[file.source])
        except SourceChanged:
            _delete(place, key, info)
            raise


class _SourceFault(Exception):
    """An error of the source while the place was written to."""

    def __init__(self, error: TrainsetError) -> None:
        super().__init__(error)
        self.error = error


@contextmanager
def _source_faults(file: SourceFile) -> Iterator[Callable[[ReadRange], ReadRange]]:
    """Keeps the source's errors apart from those of the place; gives a wrapper for its reader."""

    def told(read: ReadRange) -> ReadRange:
        def marked(start: int, length: int) -> bytes:
            try:
                return read(start, length)
            except VersionGone as err:
                raise SourceChanged(file.key) from err
            except SourceChanged:
                raise
            except TrainsetError as err:
                raise _SourceFault(err) from err

        return marked

    try:
        yield told
    except _SourceFault as fault:
        raise fault.error from fault.error.__cause__


def _note_sha256(place: Place, key: str, sha256: str) -> None:
    """Say beside a streamed object what its bytes are, for whoever has no ledger."""
    line = f"{sha256}  {key.rsplit('/', 1)[-1]}\n".encode()
    with errors_of(place):
        place.store.put(note_key(key, sha256), line, content_type="text/plain")


def _noted_sha256(place: Place, key: str) -> str | None:
    with errors_of(place):
        for info in place.store.list(f"{key}."):
            if (noted := parse_note(info.key)) is not None and noted[0] == key:
                return noted[1]
    return None


def _delete(place: Place, key: str, info: ObjectInfo | None) -> None:
    """Remove an object that this process wrote; None: its only version, whatever that is."""
    from trainset.stores.s3_list import delete_version  # late: boto3 comes with it

    store = cast("S3Store", place.store)
    with errors_of(place):
        info = info or store.head(key)
        if info is not None:
            delete_version(store, key, info.version_id)
