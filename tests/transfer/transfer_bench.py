"""A small source, a home, and a way to run a whole transfer over them."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from trainset.home import Home
from trainset.media.probe import probe_media
from trainset.model import MediaFacts, TransferTotals
from trainset.spec import MediaSource
from trainset.stores import open_store
from trainset.stores.base import ObjectStore
from trainset.transfer import Outcome, list_source, plan_transfer, send_batch
from trainset.transfer.base import transfer_totals
from trainset.transfer.ledger import open_ledger
from trainset.transfer.plan import BaseRow


@dataclass
class Bench:
    """One source ``cam`` and one home; ``rows`` stands for the media table on main."""

    root: Path
    home: Home
    spec: MediaSource
    store: ObjectStore
    rows: dict[str, BaseRow] = field(default_factory=dict)
    probed: list[str] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        return self.root / "source"

    def write(self, name: str, data: bytes) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def probe(self, data: bytes | Path, name: str) -> MediaFacts:
        self.probed.append(name)
        return probe_media(data, name)

    def run(self, *, merge: bool = True, **options: Any) -> list[Outcome]:
        """List, plan and send; with ``merge`` main takes the rows, as after a passed gate."""
        plan = plan_transfer(
            list_source(self.spec, self.store, home=self.home.url),
            self.rows,
            [self.spec],
            now=datetime.now(UTC),
        )
        outcomes: list[Outcome] = []
        with open_ledger(self.home.state, self.home.url) as ledger:
            for batch in plan.batches:
                outcomes += send_batch(
                    batch,
                    sources={"cam": self.store},
                    home=self.home,
                    ledger=ledger,
                    probe=self.probe,
                    **options,
                )
        if merge:
            for o in outcomes:
                if o.arrived:
                    self.rows[o.file.key] = BaseRow(o.file.size, o.file.version)
        assert transfer_totals(outcomes).balances
        return outcomes


def statuses(outcomes: list[Outcome]) -> dict[str, str]:
    return {o.file.path: o.status for o in outcomes}


def totals(outcomes: list[Outcome]) -> TransferTotals:
    return transfer_totals(outcomes)


def make_bench(root: Path, home: Home) -> Bench:
    (root / "source").mkdir(exist_ok=True)
    spec = MediaSource.model_validate({"name": "cam", "from": str(root / "source")})
    return Bench(root, home, spec, open_store(spec.from_))


@contextmanager
def ordinary_user() -> Iterator[Path]:
    """A folder readable by all, and, for root, an effective user that permissions bind."""
    folder = Path(tempfile.mkdtemp(prefix="trainset-", dir="/tmp"))
    folder.chmod(0o777)
    was_root = os.geteuid() == 0
    if was_root:
        os.seteuid(65534)
    try:
        yield folder
    finally:
        if was_root:
            os.seteuid(0)
        shutil.rmtree(folder)
