"""Sending one file: known? read, looked into, routed, there already? put."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from trainset.errors import (
    ChecksumMismatch,
    InputError,
    NotFound,
    SourceChanged,
    StoreFull,
    TransientError,
)
from trainset.model import MediaFacts
from trainset.retry_class import confirm_fatal
from trainset.stores.base import ReadStore
from trainset.transfer.base import Outcome, SourceFile
from trainset.transfer.claims import Lanes
from trainset.transfer.ledger.base import Claim, Ledger, LedgerRow
from trainset.transfer.places import Held, Place, Places, Presence
from trainset.transfer.plan import turned_away
from trainset.transfer.read import Content, Probe, check_unchanged, read_pinned
from trainset.transfer.route import Decision

# What the spec's rules say of a file; with facts never "read". ``Router.route``.
Route = Callable[[SourceFile, MediaFacts | None], Decision]


CONTENT_WAIT_S = 60.0  # for another process that sends the same bytes


class HomeRefused(Exception):
    """The home cannot take files at all; ``__cause__`` says why. Ends the batch."""


class HomeBusy(Exception):
    """The home did not take this file for a passing reason, in spite of all retries."""


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
    ) -> None:
        self._sources, self._places, self._route, self._probe = sources, places, route, probe
        self._lanes, self._spool, self._memory_bytes = lanes, spool, memory_bytes
        self._presence = Presence(ledger, run_id)
        self._ledger, self._parts = ledger, ledger.part_log()

    def send(self, file: SourceFile, claim: Claim, owner: str) -> Outcome:
        """Bring one file to its place.

        Its content stays held by ``owner`` in the ledger: let go of it when the outcome is noted.

        Raises:
            HomeRefused, StoreFull, MissingExtra: no file can be sent.
            HomeBusy, TrainsetError, OSError: of this file; ``send.send_batch`` judges them.
        """
        row = claim.row
        if row is not None and row.arrived and (known := self._known(file, row)) is not None:
            return known
        return self._read_and_send(file, owner, look=claim.interrupted)

    def _known(self, file: SourceFile, row: LedgerRow) -> Outcome | None:
        """``skipped`` when the ledger knows this version and its place holds the bytes."""
        if row.sha256 is None or row.facts is None or row.uri is None:
            return None
        decision = self._route(file, row.facts)
        place = self._places.of(decision)
        if decision.action != "take" or not row.uri.startswith(place.prefix):
            return None  # the rules say something else by now
        held = self._find(place, row.sha256, file.size)
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

    def _read_and_send(self, file: SourceFile, owner: str, *, look: bool) -> Outcome:
        store, limit = self._sources[file.source], self._memory_bytes
        with (
            self._lanes.memory.hold(file.size if file.size <= limit else 0),
            read_pinned(file, store, self._spool, memory_bytes=limit) as content,
        ):
            facts = content.probe(self._probe, file.path)
            decision = self._route(file, facts)
            if decision.action != "take":
                return turned_away(file, decision)
            place = self._places.of(decision)
            with self._lanes.contents.hold(place.uri(content.sha256)):
                held = self._find(place, content.sha256, file.size, look=look)
                if held is None and self._wait_for_content(content.sha256, owner):
                    # Another process may have brought these bytes while we waited.
                    held = self._find(place, content.sha256, file.size, look=look)
                there = held is not None
                if held is None:
                    held = self._put(file, place, content, facts)
        return Outcome(
            file=file,
            status="duplicate" if there else "sent",
            sha256=content.sha256,
            uri=held.uri,
            version_id=held.version_id,
            etag=held.etag,
            moved_bytes=0 if there else file.size,
            facts=facts,
            route=decision.rule,
            verified="L1",
        )

    def _find(self, place: Place, sha256: str, size: int, *, look: bool = False) -> Held | None:
        with _errors_of(place):
            return self._presence.find(place, sha256, size, look=look)

    def _wait_for_content(self, sha256: str, owner: str) -> bool:
        """Hold the content in the ledger; whether another process held it before.

        Raises:
            HomeBusy: another process still sends these bytes.
        """
        give_up_at = time.monotonic() + CONTENT_WAIT_S
        waited = False
        while not self._ledger.hold_content(sha256, owner=owner):
            waited = True
            if time.monotonic() > give_up_at:
                raise HomeBusy from TransientError("another process sends the same bytes")
            time.sleep(0.05)
        return waited

    def _put(self, file: SourceFile, place: Place, content: Content, facts: MediaFacts) -> Held:
        """Store the content; checked by the store against its sha256."""
        try:
            return self._put_once(place, content, facts)
        except ChecksumMismatch:
            # Changed under our hands, or damaged on the way: the second says which.
            check_unchanged(file, self._sources[file.source])
            return self._put_once(place, content, facts)

    def _put_once(self, place: Place, content: Content, facts: MediaFacts) -> Held:
        key = place.key(content.sha256)
        with _errors_of(place):
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
        return self._presence.note(Held(place.uri(key), info.version_id, info.version))


@contextmanager
def _errors_of(place: Place) -> Iterator[None]:
    """Mark the errors of the place that mean more than one file."""
    try:
        yield
    except (ChecksumMismatch, SourceChanged, StoreFull):
        raise
    except TransientError as err:
        raise HomeBusy from err
    except InputError as err:
        local = place.store.local_path(place.root) is not None
        if local or isinstance(err, NotFound) or confirm_fatal(err, lambda: _try_put(place)):
            raise HomeRefused from err
        raise  # this key alone: too long, say


def _try_put(place: Place) -> None:
    """A PUT that leaves nothing: its hash is a lie, which a store that takes puts refuses."""
    place.store.put(f"{place.root}/.trainset-probe", b"x", sha256="0" * 64)
