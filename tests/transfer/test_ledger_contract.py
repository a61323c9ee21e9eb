"""What every ledger promises: SQLite and a real PostgreSQL."""

from __future__ import annotations

import itertools
import os
import signal
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from ledger_files import ELSEWHERE, FACTS, claimer, file, sent, told
from services.postgres import Postgres

from trainset.stores.base import Part, Upload
from trainset.transfer.base import deferred, failed
from trainset.transfer.ledger import Content, Ledger, new_owner, open_ledger

A, B = ELSEWHERE + "a", ELSEWHERE + "b"
_homes = itertools.count()


class Place:
    """Where a ledger is; each ``open`` stands for another process."""

    def __init__(self, state: Path, url: str | None) -> None:
        self.state, self.url, self.home = state, url, f"/home/{next(_homes)}"

    def open(self) -> Ledger:
        return open_ledger(self.state, self.home, url=self.url)


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "sqlite":
        return Place(tmp_path, None)
    server: Postgres = request.getfixturevalue("postgres")
    return Place(tmp_path, server.url())


@pytest.fixture
def ledger(place: Place) -> Iterator[Ledger]:
    with place.open() as ledger:
        yield ledger


@pytest.fixture
def other(place: Place) -> Iterator[Ledger]:
    """The same ledger, opened once more."""
    with place.open() as ledger:
        yield ledger


def test_what_was_recorded_is_found_at_once_and_by_others_after_a_flush(place: Place) -> None:
    with place.open() as ledger, place.open() as other:
        assert ledger.is_new
        assert ledger.find(file("a")) is None
        ledger.record(sent("a"))
        row = ledger.find(file("a"))
        assert row is not None
        assert (row.arrived, row.sha256, row.facts, row.attempts) == (True, "ab" * 32, FACTS, 1)
        assert (row.version_id, row.state, row.dead) == ("v", "sent", False)
        ledger.record(sent("b"))
        ledger.flush()
        assert other.find(file("b")) == row
        assert ledger.find(file("a", "2")) is None
    with place.open() as again:
        assert not again.is_new
        assert dict(again.rows()) == {("/src/a", "1", 1): row, ("/src/b", "1", 1): row}


def test_a_claimed_file_is_not_given_to_another_owner(ledger: Ledger, other: Ledger) -> None:
    files = [file("a"), file("b")]
    assert [c.mine for c in ledger.claim(files, owner=A)] == [True, True]
    assert [c.mine for c in other.claim([*files, file("c")], owner=B)] == [False, False, True]
    assert [c[:2] for c in ledger.claim(files, owner=A)] == [(True, False)] * 2  # once more: fine
    found = other.find(file("a"))
    assert found is not None
    assert found.state == "sending"


def test_a_released_claim_counts_as_never_begun(ledger: Ledger, other: Ledger) -> None:
    ledger.claim([file("a"), file("b")], owner=A)
    ledger.record(failed(file("b"), "input", "no"))
    ledger.release(A)
    assert [c[:2] for c in other.claim([file("a"), file("b")], owner=B)] == [(True, False)] * 2
    assert other.find(file("b")) is not None


def test_an_ended_lease_gives_the_file_to_the_next_and_says_interrupted(ledger: Ledger) -> None:
    ledger.claim([file("a"), file("b")], owner=A, lease_s=0)
    assert [c[:2] for c in ledger.claim([file("a")], owner=B)] == [(True, True)]
    ledger.renew(A)
    assert [c.mine for c in ledger.claim([file("b")], owner=B)] == [False]
    ledger.renew(A, lease_s=0)
    assert [c[:2] for c in ledger.claim([file("b")], owner=B)] == [(True, True)]


@pytest.mark.parametrize("end", ["release", "defer", "again"])
def test_interrupted_is_said_until_the_file_arrives(ledger: Ledger, end: str) -> None:
    ledger.claim([file("a")], owner=A, lease_s=0)
    ledger.claim([file("a")], owner=B, lease_s=600)
    if end == "release":
        ledger.release(B)
    elif end == "defer":
        ledger.record(deferred(file("a"), "transient", "later"))
    owner = B if end == "again" else A
    assert ledger.claim([file("a")], owner=owner)[0][:2] == (True, True)
    ledger.record(sent("a"))
    assert ledger.claim([file("a")], owner=A)[0][:2] == (True, False)


def test_what_arrived_or_is_dead_is_told_and_not_held(ledger: Ledger, other: Ledger) -> None:
    ledger.claim([file("a"), file("d")], owner=A)
    ledger.record(sent("a"))
    ledger.record(failed(file("d"), "input", "no"), dead=True)
    for owner in (A, B):
        a, d = other.claim([file("a"), file("d")], owner=owner)
        assert a.mine
        assert a.row is not None
        assert a.row.arrived
        assert d.mine
        assert d.row is not None
        assert d.row.dead


def test_a_claim_of_a_killed_process_is_taken_at_once(place: Place, ledger: Ledger) -> None:
    child = claimer(place.state, place.home, place.url, "killed", pause=0)
    told(child)
    assert child.stdout is not None
    assert child.stdout.readline() == "holding 50\n"
    files = [file(f"{i:05d}") for i in range(50)]
    assert not any(c.mine for c in ledger.claim(files, owner=new_owner("me")))
    child.kill()
    child.wait()
    assert {c[:2] for c in ledger.claim(files, owner=new_owner("me"))} == {(True, True)}


def test_what_once_arrived_stays_known_when_it_fails_later(ledger: Ledger) -> None:
    ledger.record(failed(file("a"), "input", "no"))
    ledger.record(deferred(file("a"), "transient", "later"))
    row = ledger.find(file("a"))
    assert row is not None
    assert (row.state, row.attempts, row.kind, row.reason) == ("deferred", 2, "transient", "later")
    ledger.record(sent("a"))
    ledger.record(failed(file("a"), "input", "gone"))
    row = ledger.find(file("a"))
    assert row is not None
    assert (row.state, row.arrived, row.sha256, row.attempts) == ("sent", True, "ab" * 32, 4)
    assert row.reason == "gone"


def test_dead_letters_are_listed_durable_and_revived(place: Place, ledger: Ledger) -> None:
    before = datetime.now(UTC)
    for name in "cab":
        ledger.record(failed(file(name), "input", f"no {name}"), run_id="r1", dead=True)
    ledger.record(failed(file("alive"), "input", "no"))
    with place.open() as other:
        letters = list(other.dead_letters())
        assert [d.key for d in letters] == ["cam/a", "cam/b", "cam/c"]
        first = letters[0]
        assert (first.source_uri, first.version, first.size) == ("/src/a", "1", 1)
        assert (first.kind, first.reason, first.attempts) == ("input", "no a", 1)
        assert first.run_id == "r1"
        assert before.timestamp() - 1 <= first.since.timestamp() <= time.time() + 1
        assert other.revive(["cam/a", "cam/none"]) == 1
        assert [d.key for d in other.dead_letters()] == ["cam/b", "cam/c"]
        (claim,) = other.claim([file("a")], owner=A)
        assert claim.mine
        assert claim.row is not None
        assert not claim.row.dead
        assert other.revive() == 2
        assert other.revive() == 0
        assert list(other.dead_letters()) == []


def test_attempts_tell_the_story_of_what_did_not_arrive_at_once(ledger: Ledger) -> None:
    ledger.record(sent("smooth"))
    ledger.record(deferred(file("a"), "transient", "later\0"), run_id="r1")
    ledger.record(failed(file("a", "2"), "input", "no"), run_id="r2", dead=True)
    ledger.record(sent("a", "3"), run_id="r3")
    assert list(ledger.attempts("/src/smooth")) == []
    story = [(t.version, t.state, t.kind, t.run_id) for t in ledger.attempts("/src/a")]
    assert story == [
        ("1", "deferred", "transient", "r1"),
        ("2", "failed", "input", "r2"),
        ("3", "sent", None, "r3"),
    ]


def test_contents_are_found_by_hash_and_place(ledger: Ledger, other: Ledger) -> None:
    one, two, none = "1" * 64, "2" * 64, "1" * 16 + "3" * 48
    ledger.record(sent("a", sha256=one))
    ledger.record(sent("b", sha256=one, place="s3://other/"))
    for _ in range(2):  # waiting, and written
        assert ledger.find_content(one) is not None
        assert ledger.find_content(one, "media/") == Content(f"media/11/{one}", 1, "v")
        found = ledger.find_content(one, "s3://other/")
        assert found is not None
        assert found.uri == f"s3://other/media/11/{one}"
        assert ledger.find_content(one, "s3://others/") is None
        assert ledger.find_content(none) is None
        ledger.flush()
    assert other.find_content(one, "media/") is not None
    known = Content("media/22/x", 7, None)
    other.know_contents([(two, known), (two, known), (one, Content("elsewhere/x", 1, None))])
    assert ledger.find_content(two) == known
    assert ledger.find_content(one, "elsewhere/") == Content("elsewhere/x", 1, None)
    assert list(other.files_of(one)) == ["/src/a", "/src/b"]
    assert list(other.files_of(two)) == []


def test_one_owner_at_a_time_holds_a_content(ledger: Ledger, other: Ledger) -> None:
    assert ledger.hold_content("1" * 64, owner=A)
    assert ledger.hold_content("1" * 64, owner=A)
    assert not other.hold_content("1" * 64, owner=B)
    other.let_go_content("1" * 64, B)  # not its own: nothing happens
    assert not other.hold_content("1" * 64, owner=B)
    ledger.let_go_content("1" * 64, A)
    assert other.hold_content("1" * 64, owner=B, lease_s=0)
    assert ledger.hold_content("1" * 64, owner=A)
    ledger.release(A)
    assert other.hold_content("1" * 64, owner=B)


def test_who_gets_a_content_sees_what_the_one_before_recorded(
    ledger: Ledger, other: Ledger
) -> None:
    sha256 = "5" * 64
    ledger.hold_content(sha256, owner=A)
    ledger.record(sent("a", sha256=sha256))
    ledger.let_go_content(sha256, A)
    assert not other.hold_content(sha256, owner=B) or other.find_content(sha256) is not None
    ledger.flush()
    assert other.hold_content(sha256, owner=B)
    assert other.find_content(sha256) is not None


def test_a_content_is_taken_once_and_only_where_it_is_new(ledger: Ledger, other: Ledger) -> None:
    new, known = "6" * 64, "7" * 64
    assert ledger.take_content(new, "media/", owner=A)
    assert ledger.take_content(new, "media/", owner=A)
    assert not other.take_content(new, "media/", owner=B)
    assert not other.hold_content(new, owner=B)
    ledger.let_go_content(new, A)
    assert other.take_content(new, "media/", owner=B, lease_s=0)
    assert ledger.take_content(new, "media/", owner=A)
    ledger.record(sent("a", sha256=new))
    ledger.let_go_content(new, A)
    assert not ledger.take_content(new, "media/", owner=A)  # it waits for its commit
    ledger.flush()
    for place, is_new in (("media/", False), ("s3://other/", True)):
        assert other.take_content(new, place, owner=B) == is_new
    other.know_contents([(known, Content("media/77/x", 7, None))])
    assert not ledger.take_content(known, "media/", owner=A)


def test_of_two_that_bring_the_same_contents_each_is_taken_by_one(
    ledger: Ledger, other: Ledger
) -> None:
    """Who comes between another's record and release must see the record, not a free content."""
    contents = [f"{n:064x}" for n in range(200)]
    taken: list[str] = []

    def bring(mine: Ledger, owner: str) -> None:
        for sha256 in contents:
            if mine.take_content(sha256, "media/", owner=owner):
                taken.append(sha256)
                mine.record(sent(f"{owner}-{sha256}", sha256=sha256))
                mine.let_go_content(sha256, owner)
                mine.flush()

    threads = [threading.Thread(target=bring, args=each) for each in ((ledger, A), (other, B))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sorted(taken) == contents


def test_parts_of_an_upload_are_kept_until_it_ends(ledger: Ledger, other: Ledger) -> None:
    mine, others = ledger.part_log(), other.part_log()
    assert mine.find("media/x") is None
    upload = Upload(upload_id="u1", size=30, part_bytes=10, sha256="ab")
    mine.begin("media/x", upload)
    parts = [Part(number=n, size=10, etag=f"e{n}", sha256=f"s{n}") for n in (1, 2, 3)]
    for part in reversed(parts):
        mine.note("media/x", part)
    mine.note("media/x", parts[1])  # confirmed twice: once
    assert others.find("media/x") == upload
    assert others.parts("media/x") == parts
    others.begin("media/x", upload.model_copy(update={"upload_id": "u2"}))
    assert mine.parts("media/x") == []
    mine.note("media/x", parts[0])
    mine.end("media/x")
    assert (others.find("media/x"), others.parts("media/x")) == (None, [])
    mine.end("media/x")


def test_long_and_odd_names_are_kept(ledger: Ledger) -> None:
    names = ["x" * 4000, "ünï/😀 'q\" %s", "a\\b", "%", "_", "a:b"]
    for name in names:
        ledger.record(sent(name))
    ledger.flush()
    assert {uri for (uri, _, _), _ in ledger.rows()} == {f"/src/{name}" for name in names}
    assert all(c.row and c.row.arrived for c in ledger.claim([file(n) for n in names], owner=A))
    assert len(list(ledger.files_of("ab" * 32))) == len(names)


def test_threads_share_an_instance(ledger: Ledger) -> None:
    errors: list[BaseException] = []

    def work(n: int) -> None:
        try:
            for start in range(0, 100, 10):
                files = [file(f"{n}-{i}") for i in range(start, start + 10)]
                assert all(c.mine for c in ledger.claim(files, owner=f"{A}{n}"))
                for f in files:
                    sha256 = f.path.replace("-", "a").ljust(64, "0")
                    assert ledger.hold_content(sha256, owner=f"{A}{n}")
                    ledger.record(sent(f.path, sha256=sha256))
                    ledger.let_go_content(sha256, f"{A}{n}")
                    assert ledger.find_content(sha256) is not None
        except BaseException as err:
            errors.append(err)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert errors == []
    assert sum(1 for _ in ledger.rows()) == 600


def finish(place: Place) -> list[str]:
    """Two processes claim the same 2,000 files; the names that each took.

    Each holds its first chunk until the other has one too, so both have a share.
    """
    children = []
    for name, first in (("x", 0), ("y", 50)):
        child = claimer(place.state, place.home, place.url, name, pause=first)
        told(child)
        assert child.stdout is not None
        assert child.stdout.readline() == "holding 50\n"
        children.append(child)
    for child in children:
        told(child)
    taken = []
    for child in children:
        said, _ = child.communicate(timeout=60)
        assert child.returncode == 0
        taken.append(said.split())
    assert all(taken)
    return [name for names in taken for name in names]


def test_two_processes_claim_each_file_exactly_once(place: Place) -> None:
    names = finish(place)
    assert sorted(names) == [f"{i:05d}" for i in range(2000)]


def test_files_of_a_killed_process_are_done_by_the_other_when_its_lease_ends(place: Place) -> None:
    killed = claimer(place.state, place.home, place.url, "elsewhere", pause=1000, lease_s=2)
    other = claimer(place.state, place.home, place.url, "y")
    told(killed)
    assert killed.stdout is not None
    lines = iter(killed.stdout.readline, "")
    done = list(itertools.takewhile(lambda line: not line.startswith("holding"), lines))
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    told(other)
    said, _ = other.communicate("\n", timeout=60)
    names = [line.strip() for line in done] + said.split()
    with place.open() as ledger:
        held = [f"{i:05d}" for i in range(1000, 1050)]
        files = [file(name) for name in held]
        claims = ledger.claim(files, owner=B)
        while not all(c.mine for c in claims):
            time.sleep(0.1)
            claims = ledger.claim(files, owner=B)
        late = [n for n, c in zip(held, claims, strict=True) if not (c.row and c.row.arrived)]
        assert all(c.interrupted for c in claims if not (c.row and c.row.arrived))
    assert sorted(names + late) == [f"{i:05d}" for i in range(2000)]
