"""Sending one file: known? read, looked into, routed, there already? put."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from trainset.errors import ChecksumMismatch, SourceChanged
from trainset.model import MediaFacts
from trainset.stores.base import ReadStore
from trainset.transfer.base import Outcome, SourceFile
from trainset.transfer.claims import Lanes
from trainset.transfer.deliver import Delivery, Put, Route, errors_of
from trainset.transfer.ledger.base import Claim, Ledger, LedgerRow
from trainset.transfer.patience import patiently
from trainset.transfer.places import Held, Place, Places
from trainset.transfer.plan import turned_away
from trainset.transfer.read import Content, Probe, read_pinned
from trainset.transfer.send_remote import RemoteSender
from trainset.transfer.server_copy import CopyRefused, ServerCopier


class _Damaged(Exception):
    """The store got other bytes than those that were read, whose sha256 this is."""

    def __init__(self, sha256: str, error: ChecksumMismatch) -> None:
        self.sha256, self.error = sha256, error
        super().__init__(sha256)


class FileSender:
    """Sends files one by one; threads share it. See ``send.send_batch``."""

    def __init__(
        self,
        sources: Mapping[str, ReadStore],
        places: Places,
        ledger: Ledger,
        *,
        route: Route,
        lanes: Lanes,
        probe: Probe,
        spool: Path,
        memory_bytes: int,
        run_id: str | None = None,
        replay: Literal["read", "send"] | None = None,
    ) -> None:
        self._sources, self._probe, self._lanes = sources, probe, lanes
        self._spool, self._memory_bytes = spool, memory_bytes
        self._replay = replay
        self._delivery = Delivery(places, ledger, lanes, route, run_id, prove=replay == "send")
        self._parts, self._copier = ledger.part_log(), ServerCopier()
        self._remote = RemoteSender(
            sources,
            self._delivery,
            self._copier,
            self._parts,
            lanes=lanes,
            probe=probe,
            memory_bytes=memory_bytes,
        )

    def send(self, file: SourceFile, claim: Claim, owner: str) -> Outcome:
        """Bring one file to its place.

        Its content stays held by ``owner`` in the ledger: let go of it when the outcome is noted.

        Raises:
            HomeRefused, StoreFull, MissingExtra: no file can be sent.
            HomeBusy, TrainsetError, OSError: of this file; ``send.send_batch`` judges them.
        """
        row = claim.row if self._replay is None else None
        if row is not None and row.arrived and (known := self._known(file, row)) is not None:
            return known
        sent = self._remote.send(file, owner, look=claim.interrupted)
        if sent is not None:
            return sent
        try:
            return self._read_and_send(file, owner, look=claim.interrupted)
        except _Damaged as first:
            # Damaged in memory or on the way, or changed under our hands: the second read says.
            try:
                return self._read_and_send(file, owner, look=True, before=first.sha256)
            except _Damaged as second:
                raise second.error from second.error.__cause__

    def _known(self, file: SourceFile, row: LedgerRow) -> Outcome | None:
        """``skipped`` when the ledger knows this version and its place holds the bytes."""
        if row.sha256 is None or row.facts is None or row.uri is None:
            return None
        decision = self._delivery.route(file, row.facts)
        place = self._delivery.places.of(decision)
        if decision.action != "take" or not row.uri.startswith(place.prefix):
            return None  # the rules say something else by now
        held = self._delivery.find(place, row.sha256, file.size)
        if held is None:
            return None  # someone removed it: it is read and sent again
        return Outcome(
            file=file,
            status="skipped",
            sha256=row.sha256,
            uri=held.uri,
            version_id=held.version_id or row.version_id,
            etag=held.etag,
            facts=row.facts,
            route=decision.rule,
            verified="L1",
        )

    def _read_and_send(
        self, file: SourceFile, owner: str, *, look: bool, before: str | None = None
    ) -> Outcome:
        """Bring one file; ``before``: the sha256 that an earlier read of this version found."""
        held = file.size if file.size <= self._memory_bytes else 0
        with self._lanes.memory.hold(held):
            # In a frame of its own: the bytes are gone when their share of memory is given back.
            return self._read_then_send(file, owner, look=look, before=before)

    def _read_then_send(
        self, file: SourceFile, owner: str, *, look: bool, before: str | None
    ) -> Outcome:
        store, limit = self._sources[file.source], self._memory_bytes
        with read_pinned(file, store, self._spool, memory_bytes=limit) as content:
            if before not in (None, content.sha256):
                raise SourceChanged(file.key)
            facts = content.probe(self._probe, file.path)
            decision = self._delivery.route(file, facts)
            if decision.action != "take":
                return turned_away(file, decision)
            place = self._delivery.places.of(decision)
            return self._delivery.bring(
                file,
                facts,
                decision,
                content.sha256,
                owner,
                lambda: self._put(file, place, content, facts),
                look=look,
            )

    def _put(self, file: SourceFile, place: Place, content: Content, facts: MediaFacts) -> Put:
        """Store the content; checked by the store against its sha256."""
        store, pinned = self._sources[file.source], content.pinned
        if pinned is not None and file.size and self._copier.can(file, store, place):
            try:
                return self._copier.copy(file, store, pinned, place, content.sha256, facts.mime)
            except CopyRefused:
                pass
        try:
            held = patiently(
                lambda: self._put_once(place, content, facts),
                local=content.data is None,  # then it is read once more
            )
        except ChecksumMismatch as err:
            raise _Damaged(content.sha256, err) from err
        return Put(held, file.size)

    def _put_once(self, place: Place, content: Content, facts: MediaFacts) -> Held:
        key = place.key(content.sha256)
        with errors_of(place):
            # From folder to folder by file: a clone, where the file system can.
            by_file = content.path is not None and place.store.local_path(key) is not None
            if content.data is None or by_file:
                assert content.path is not None
                info = place.store.put_file(
                    key,
                    content.path,
                    sha256=content.sha256,
                    content_type=facts.mime,
                    part_hashes=content.part_hashes,
                    parts=self._parts,
                )
            else:
                info = place.store.put(
                    key, content.data, sha256=content.sha256, content_type=facts.mime
                )
        return Held.of(place.uri(key), info)
