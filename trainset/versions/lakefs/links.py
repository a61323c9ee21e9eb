"""Media beside the tables: which links a branch needs, and making them so.

A link names the bytes by their address in the block store, and has our sha256 as its checksum; no
byte moves. What is there and what is wanted are walked side by side in the order of paths, so a
million media need no more memory than a page of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from trainset.errors import InputError, TrainsetError
from trainset.versions.base import MediaLink, MediaLinks
from trainset.versions.lakefs.bulk import LinkCalls
from trainset.versions.lakefs.files import MEDIA
from trainset.versions.lakefs.names import trial_of
from trainset.versions.lakefs.objects import BULK, Entry, Repository

if TYPE_CHECKING:
    from trainset.versions.lakefs.runs import RunBranches

_LOCAL = "local://"


def link_branch(
    versions: RunBranches,
    branch: str,
    there: Iterable[Entry],
    wanted: Iterable[MediaLink],
    progress: Callable[[int], None] | None = None,
) -> MediaLinks:
    """Stage what makes ``there`` into ``wanted`` on ``branch``; both ascend by path.

    Raises:
        TrainsetError: of the server as a whole; what was staged stays, and repeating it goes on.
    """
    return _Linking(versions, branch, progress).run(there, wanted)


def list_links(repository: Repository, ref: str) -> Iterator[Entry]:
    """What a ref links, ascending, each with the address that it was linked by.

    A server on a folder puts that folder before every address that it tells.
    """
    folder: str | None = None
    for entry in repository.list(ref, MEDIA):
        if entry.address.startswith(_LOCAL):
            folder = repository.block_folder(ref) if folder is None else folder
            given = entry.address.removeprefix(_LOCAL + folder)
            yield entry._replace(address=_LOCAL + given.removeprefix(_LOCAL))
        else:
            yield entry


def as_links(entries: Iterable[Entry]) -> Iterator[MediaLink]:
    """What another commit links, as it is wanted here."""
    for entry in entries:
        yield MediaLink(entry.path, entry.address, entry.checksum, entry.size, entry.mime, place="")


def as_entries(links: Iterable[MediaLink]) -> Iterator[Entry]:
    """What a commit links, known from its rows."""
    for link in links:
        yield Entry(link.path, link.size, link.sha256, link.address, 0, link.mime)


class _Linking:
    def __init__(
        self, versions: RunBranches, branch: str, progress: Callable[[int], None] | None
    ) -> None:
        self._repository, self._branch, self._progress = versions.repository, branch, progress
        self._places: dict[str, str | None] = {"": None}  # place -> why it cannot be read
        self._refused: dict[str, str] = {}
        self._kept = self._left = 0
        self._gone: list[str] = []

    def run(self, there: Iterable[Entry], wanted: Iterable[MediaLink]) -> MediaLinks:
        access, name = self._repository.access, self._repository.name
        calls, done, unlinked = LinkCalls(access, name, self._branch), 0, 0
        try:
            for count in calls.link_all(self._new(there, wanted), self._refuse):
                done += count
                if self._progress is not None:
                    self._progress(done)
                if len(self._gone) >= BULK:
                    unlinked += self._unlink()
        finally:
            calls.close()
        unlinked += self._unlink()
        taken_back = len(self._refused.keys() - self._places.keys())
        return MediaLinks(
            linked=done - taken_back,
            unlinked=unlinked,
            kept=self._kept,
            left=self._left + taken_back,
            refused=self._refused,
        )

    def _new(self, there: Iterable[Entry], wanted: Iterable[MediaLink]) -> Iterator[MediaLink]:
        """Links to make; those to take back are noted."""
        old = iter(there)
        held = next(old, None)
        for link in wanted:
            at = link.path.encode()
            while held is not None and held.path.encode() < at:
                self._gone.append(held.path)
                held = next(old, None)
            if held is not None and held.path == link.path:
                same = (held.checksum, held.size, held.address) == (
                    link.sha256,
                    link.size,
                    link.address,
                )
                path, held = held.path, next(old, None)
                if same:
                    self._kept += 1
                    continue
                if not self._can_read(link):
                    self._gone.append(path)  # what it linked is not this row's any more
            if self._can_read(link):
                yield link
            else:
                self._left += 1
        while held is not None:
            self._gone.append(held.path)
            held = next(old, None)

    def _can_read(self, link: MediaLink) -> bool:
        if link.place not in self._places and link.size:
            why = try_place(self._repository, self._branch, link)
            self._places[link.place] = why
            if why is not None:
                self._refused[link.place] = why
        return self._places.get(link.place) is None

    def _refuse(self, link: MediaLink, error: InputError) -> None:
        self._refused[link.path] = str(error)
        self._gone.append(link.path)  # what it linked before is not this row's any more

    def _unlink(self) -> int:
        gone, self._gone = self._gone, []
        self._repository.delete(self._branch, gone)
        return len(gone)


def try_place(repository: Repository, branch: str, link: MediaLink) -> str | None:
    """Why the server cannot read what lies where ``link`` does; None: it can.

    It takes links to anything, and a listing that meets one it cannot read fails as a whole. So
    one is tried on a branch beside, which ends here, or with its run.
    """
    trial = trial_of(branch)
    at = repository.branch(branch)
    assert at is not None, "the run has a branch"
    repository.drop_branch(trial)
    repository.create_branch(trial, at)
    try:
        repository.link(trial, link.path, link.address, sha256=link.sha256, size=link.size)
        repository.read_start(trial, link.path)
    except TrainsetError as err:
        return str(err)
    finally:
        repository.drop_branch(trial)
    return None
