"""L2 of one destination: its listing judges its files, and shows what lies there besides."""

from __future__ import annotations

from collections.abc import Iterator

from trainset.stores.base import ReadStore
from trainset.stores.held import Held, list_held
from trainset.transfer.leftovers import Leftovers
from trainset.transfer.readback import Verdict
from trainset.transfer.reconcile import Match, reconcile
from trainset.transfer.streams import parse_note
from trainset.transfer.verify_report import Expected, ObjectFault
from trainset.transfer.verify_table import VerifyTable

_TOGETHER = 5_000  # verdicts that are written at once


def judge_listing(
    table: VerifyTable, place: str, store: ReadStore, root: str | None, beside: Leftovers | None
) -> Iterator[str]:
    """Judge all files of a place by its listing; yields the keys that nobody expects.

    Args:
        root: key prefix to list; None: the folder that holds all files of the place.
        beside: gets what is there besides; None: the files are not all that should be there.
    """
    prefix = table.prefix(place) if root is None else root
    waiting: list[Verdict] = []
    of_key = _OfKey(store, beside)
    for match in reconcile(
        table.of_place(place),
        lambda start: list_held(store, prefix, start),
        whole=beside is not None,
    ):
        of_key.add(match)
        if match.file is None:
            if not _is_note_of_known(table, place, match.key):
                yield match.key
            continue
        settled = _same_bytes(store, match.key, match.file, match.fault)
        waiting.append((match.id, "L2", None if settled else match.fault))
        if len(waiting) >= _TOGETHER:
            table.judge(waiting)
            waiting.clear()
    table.judge(waiting)
    of_key.end()
    if beside is not None:
        beside.uploads(store, prefix)


class _OfKey:
    """Gathers the files that share a key, to tell what lies there besides."""

    def __init__(self, store: ReadStore, beside: Leftovers | None) -> None:
        self._store, self._beside = store, beside
        self._held: Held | None = None
        self._wanted: set[str | None] = set()
        self._pinned = False

    def add(self, match: Match) -> None:
        if self._beside is None or match.held is None:
            return
        if match.file is None:
            self._beside.unexpected(self._store, match.held)
            return
        if self._held is None or self._held.key != match.key:
            self.end()
            self._held, self._wanted, self._pinned = match.held, set(), False
        self._wanted.add(match.file.version_id)
        self._pinned |= match.file.pinned

    def end(self) -> None:
        # Versions of a reference source are its owner's, and older commits pin them.
        if self._beside is not None and self._held is not None and not self._pinned:
            self._beside.expected(self._store, self._held, self._wanted)
        self._held = None


def _is_note_of_known(table: VerifyTable, place: str, key: str) -> bool:
    noted = parse_note(key)
    return noted is not None and table.has(place, noted[0])


def _same_bytes(store: ReadStore, key: str, file: Expected, found: ObjectFault | None) -> bool:
    """Whether another version is current because the same bytes were sent again."""
    if found is None or found.kind != "other-version" or file.sha256 is None:
        return False
    now = store.head(key)
    return now is not None and (now.size, now.sha256) == (file.size, file.sha256)
