"""``RunContext``: the data that names a run, and ``Run``: the same run, opened in this process."""

from __future__ import annotations

import fcntl
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal

from pydantic import Field, SecretStr

from trainset.home import Home, open_home
from trainset.model import LAKEFS, Credentials, Frozen, Protection
from trainset.run.destinations import Destinations, open_destination, use_destinations
from trainset.spec import DatasetSpec
from trainset.stores import open_source
from trainset.stores.base import ObjectStore, ReadStore
from trainset.stores.s3_lock import check_lockable
from trainset.tables.lance_store import LanceTableStore
from trainset.transfer.selection import Only
from trainset.versions.lakefs.access import LakeFSAccess

if TYPE_CHECKING:
    from trainset.tables.base import Table
    from trainset.transfer.ledger import Ledger
    from trainset.versions.base import VersionStore, Workspace


# Where a replay begins, of files whose version is at the destination already.
# route: the rules are asked again; what they send elsewhere now is read and sent there.
# read: its source is read again, too, whatever the ledger knows of it.
# send: and what lies at the destination is read back; other bytes than these are replaced.
ReplayStage = Literal["route", "read", "send"]


class RunContext(Frozen):
    """What every step of a run needs to open it, in any process."""

    run_id: str
    started_at: datetime
    flow_run_id: str | None = None  # the orchestrator's; None: it runs without one
    spec: DatasetSpec
    credentials: Credentials | None = None
    lakefs: LakeFSAccess | None = None  # the server that keeps versions; None: the environment
    models: Path | None = None  # folder of model weights beside the known ones
    retry_failed: bool = False
    retry_dead: bool = False  # try files again that earlier runs gave up
    retry_where: str | None = None  # only those that this condition fits
    only: Only | None = None  # the files that the transfer is about; None: all of the sources
    replay: ReplayStage | None = None  # treat them so, though they are there already
    prefer: Literal["ours", "theirs"] | None = None  # of values that main and this run changed
    destinations: Destinations = Field(default_factory=dict)  # behind blocks that rules name
    ledger_url: SecretStr | None = None  # of a PostgreSQL ledger; None: TRAINSET_LEDGER, or a file


class Run:
    """An open run: its home, its work tree and its ledger."""

    def __init__(self, context: RunContext) -> None:
        self.context = context
        self.spec = context.spec

    @cached_property
    def home(self) -> Home:
        home = open_home(
            self.spec.home,
            credentials=self.context.credentials,
            create=True,
            options=self.spec.store_options,
            versions=None if self.spec.home.startswith(LAKEFS) else self.spec.versions,
            lakefs=self.context.lakefs,
        )
        use_destinations(home, self.context.destinations)
        return home

    def open_place(self, url: str, protection: Protection | None) -> ObjectStore:
        """Another bucket or folder that a rule of the spec sends files to."""
        return open_destination(
            url,
            self.context.destinations,
            protection=protection,
            credentials=self.context.credentials,
            options=self.spec.store_options,
        )

    def sources(self) -> dict[str, ReadStore]:
        """A store of each source by name, opened anew."""
        return {m.name: open_source(m.from_, self.context.credentials) for m in self.spec.media}

    @cached_property
    def workspace(self) -> Workspace:
        return self.home.versions.begin(self.context.run_id)

    @property
    def ledger(self) -> Ledger:
        """Opened anew; close it."""
        from trainset.transfer.ledger import open_ledger

        url = self.context.ledger_url
        return open_ledger(
            self.home.state, self.home.url, url=None if url is None else url.get_secret_value()
        )

    @property
    def scratch(self) -> Path:
        """Local folder of what the steps hand to each other; goes with the run."""
        folder = _scratch(self.home, self.context.run_id)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def table(self, name: str) -> Table | None:
        """A table of the work tree, or None when the dataset has none yet."""
        location = self.workspace.table(name)
        store = LanceTableStore()
        return store.open(location) if store.exists(location) else None


KEPT = ".kept"  # lock file of a run that failed or waits: its branch may be looked at
KEEP = timedelta(days=7)
_held: dict[str, IO[bytes]] = {}


def begin_run(context: RunContext) -> Run:
    """Open the run's home and branch, after clearing away what crashed and old runs left.

    What a crashed run had sent and computed is not lost: the ledger and the compute cache keep it.
    """
    run = Run(context)
    if run.spec.lock_tags is not None:
        check_lockable(run.home.store)
    with _locks(run.home) as locks:
        _discard_crashed(run, locks)
        _discard_silent(run, locks)
        _held[context.run_id] = _lock(locks / context.run_id)
    if not branches_of(run.home.versions, context.run_id):  # one that waited has its branch
        _ = run.workspace
    return run


def end_run(context: RunContext) -> None:
    """Let go of the run's lock; a branch that is still there (failed, refused) stays a week."""
    run = Run(context)
    shutil.rmtree(run.scratch, ignore_errors=True)
    if (lock := _held.pop(context.run_id, None)) is not None:
        with _locks(run.home) as locks:
            path = locks / context.run_id
            if branches_of(run.home.versions, context.run_id):
                path.rename(path.with_name(path.name + KEPT))
            else:
                path.unlink(missing_ok=True)
                path.with_name(path.name + KEPT).unlink(missing_ok=True)  # it had waited
            lock.close()


@contextmanager
def no_new_runs(home: Home) -> Iterator[list[str]]:
    """Let no run of this machine begin meanwhile; gives the ids of those that are at work."""
    with _locks(home) as locks:
        at_work = []
        for path in locks.iterdir():
            if path.suffix == KEPT:
                continue
            try:
                _lock(path).close()
            except BlockingIOError:
                at_work.append(path.name)
        yield sorted(at_work)


def branches_of(versions: VersionStore, run_id: str) -> list[str]:
    """Run branches that are there of one run: its own, then its replays from first to last."""
    own = re.compile(re.escape(run_id) + r"(?:\.r(\d+))?")
    found = [(int(m[1] or 0), name) for name in versions.runs() if (m := own.fullmatch(name))]
    return [name for _, name in sorted(found)]


def now() -> datetime:
    return datetime.now(UTC)


def _scratch(home: Home, run_id: str) -> Path:
    return home.state / "scratch" / run_id


@contextmanager
def _locks(home: Home) -> Iterator[Path]:
    """The folder of the runs' locks, held alone.

    A lock that is not taken yet, or no longer, would look like that of a crashed run.
    """
    folder = home.state / "locks"
    folder.mkdir(exist_ok=True)
    with (home.state / "locks.lock").open("wb") as one:
        fcntl.flock(one, fcntl.LOCK_EX)
        yield folder


def _lock(path: Path) -> IO[bytes]:
    handle = path.open("wb")
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return handle


def _discard_crashed(run: Run, locks: Path) -> None:
    """Discard branches of this machine whose process is gone, and failed ones after a week.

    A process that is gone has let go of its lock, however it ended.
    """
    oldest = (run.context.started_at - KEEP).timestamp()
    for path in locks.iterdir():
        if path.suffix == KEPT and path.stat().st_mtime > oldest:
            continue
        try:
            handle = _lock(path)
        except BlockingIOError:
            continue  # that run is alive
        run_id = path.name.removesuffix(KEPT)
        for branch in branches_of(run.home.versions, run_id):
            run.home.versions.begin(branch).discard()
        shutil.rmtree(_scratch(run.home, run_id), ignore_errors=True)
        path.unlink(missing_ok=True)
        handle.close()


def _discard_silent(run: Run, locks: Path) -> None:
    """Discard branches of which this machine has no lock, once nothing was written for a week.

    Another machine's, then, and only that one could tell whether its run failed, crashed or works:
    a run that writes is never silent for so long.
    """
    versions = run.home.versions
    here = {path.name.removesuffix(KEPT) for path in locks.iterdir()}
    for branch in versions.runs():
        own = {branch, re.sub(r"\.r\d+$", "", branch)}  # a replay is under the lock of its run
        if own.isdisjoint(here) and versions.is_silent(branch, since=run.context.started_at - KEEP):
            versions.begin(branch).discard()
