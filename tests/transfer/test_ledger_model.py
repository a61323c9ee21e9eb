"""Claims, records, releases and leases in any order: the ledger against a model in memory."""

from __future__ import annotations

import itertools
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from ledger_files import ELSEWHERE, file, sent
from services.postgres import Postgres

from trainset.transfer.base import failed
from trainset.transfer.ledger import Ledger, open_ledger

OWNERS = [ELSEWHERE + name for name in "ab"]
FILES = [file(name) for name in "pq"]
_homes = itertools.count()

owners = st.sampled_from(OWNERS)
numbers = st.integers(0, len(FILES) - 1)
several = st.lists(numbers, min_size=1, max_size=3)
instances = st.integers(0, 1)
seldom = st.sampled_from([False] * 5 + [True])  # of what ends a file's story


@dataclass
class Known:
    """What must be known of one file."""

    owner: str | None = None
    live: bool = False
    interrupted: bool = False
    arrived: bool = False
    dead: bool = False
    tries: int = 0

    def end(self) -> None:
        self.owner, self.live = None, False


class LedgerModel(RuleBasedStateMachine):
    """Two instances of one ledger, as two processes have them; flushed before the other looks."""

    url: str | None = None

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        home = f"model/{next(_homes)}"
        self.ledgers: list[Ledger] = [
            open_ledger(Path(self.folder.name), home, url=self.url) for _ in range(2)
        ]
        self.known = [Known() for _ in FILES]

    def teardown(self) -> None:
        for ledger in self.ledgers:
            ledger.close()
        self.folder.cleanup()

    @rule(ledger=instances, owner=owners, files=several, live=st.booleans())
    def claim(self, ledger: int, owner: str, files: list[int], live: bool) -> None:
        claims = self.ledgers[ledger].claim(
            [FILES[n] for n in files], owner=owner, lease_s=600 if live else 0
        )
        before = [self.known[n].interrupted or self.known[n].owner is not None for n in files]
        for n, claim, begun in zip(files, claims, before, strict=True):
            known = self.known[n]
            assert (claim.row is not None) == (known.tries > 0)
            if known.arrived or known.dead:
                assert claim.mine
                assert claim.row is not None
                assert (claim.row.arrived, claim.row.dead) == (known.arrived, known.dead)
                continue
            if known.live and known.owner != owner:
                assert not claim.mine
                continue
            taken_over = begun and known.owner != owner
            known.interrupted = known.interrupted or taken_over
            assert claim[:2] == (True, known.interrupted)
            known.owner, known.live = owner, live

    @rule(ledger=instances, n=numbers)
    def die_and_be_followed(self, ledger: int, n: int) -> None:
        """The way to an interrupted file, which single steps seldom find."""
        self.claim(ledger, OWNERS[0], [n], live=False)
        self.claim(ledger, OWNERS[1], [n], live=True)

    @rule(owner=owners, live=st.booleans())
    def renew(self, owner: str, live: bool) -> None:
        self.ledgers[0].renew(owner, lease_s=600 if live else 0)
        for known in self.known:
            if known.owner == owner:
                known.live = live

    @rule(ledger=instances, owner=owners)
    def release(self, ledger: int, owner: str) -> None:
        self.ledgers[ledger].release(owner)
        for known in self.known:
            if known.owner == owner:
                known.end()

    @rule(ledger=instances, n=numbers, now=seldom)
    def arrive(self, ledger: int, n: int, now: bool) -> None:
        if not now:
            return
        self.ledgers[ledger].record(sent(FILES[n].path))
        known = self.known[n]
        known.end()
        known.arrived, known.interrupted, known.dead = True, False, False
        known.tries += 1
        self.ledgers[ledger].flush()

    @rule(ledger=instances, n=numbers, dead=seldom)
    def fail(self, ledger: int, n: int, dead: bool) -> None:
        self.ledgers[ledger].record(failed(FILES[n], "input", "no"), dead=dead)
        known = self.known[n]
        known.end()
        known.dead = dead
        known.tries += 1
        self.ledgers[ledger].flush()

    @rule(ledger=instances, n=numbers)
    def revive(self, ledger: int, n: int) -> None:
        assert self.ledgers[ledger].revive([FILES[n].key]) == self.known[n].dead
        self.known[n].dead = False

    @invariant()
    def all_know_the_same(self) -> None:
        for ledger in self.ledgers:
            dead = [d.key for d in ledger.dead_letters()]
            assert dead == [f.key for f, k in zip(FILES, self.known, strict=True) if k.dead]
            for f, known in zip(FILES, self.known, strict=True):
                row = ledger.find(f)
                begun = known.owner is not None or known.interrupted
                assert (row is not None) == (known.tries > 0 or begun)
                if row is not None:
                    assert (row.attempts, row.arrived) == (known.tries, known.arrived)


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_ledger_does_what_the_model_does(kind: str, request: pytest.FixtureRequest) -> None:
    class Machine(LedgerModel):
        url = None

    if kind == "postgres":
        server: Postgres = request.getfixturevalue("postgres")
        Machine.url = server.url()
    few = settings(
        max_examples=100 if kind == "sqlite" else 25,
        stateful_step_count=25,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Machine, settings=few)
