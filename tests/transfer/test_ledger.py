"""The ledger: crash-safe, shared by threads and processes, never in the way."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from trainset.model import MediaFacts
from trainset.transfer import Outcome, SourceFile
from trainset.transfer.base import failed
from trainset.transfer.ledger import SqliteLedger

FACTS = MediaFacts(mime="image/png", modality="image", width=3, height=2)


def file(name: str, version: str = "1") -> SourceFile:
    return SourceFile(
        key=f"cam/{name}",
        source="cam",
        path=name,
        uri=f"/src/{name}",
        size=1,
        version=version,
        modified=datetime(2026, 1, 1, tzinfo=UTC),
    )


def sent(name: str, version: str = "1") -> Outcome:
    return Outcome(
        file=file(name, version), status="sent", sha256="ab", uri="media/ab/ab", facts=FACTS
    )


def test_what_was_recorded_is_found_at_once_and_after_reopening(tmp_path: Path) -> None:
    with SqliteLedger(tmp_path / "l.sqlite") as ledger:
        ledger.record(sent("a"))
        for _ in range(2):
            row = ledger.find(file("a"))
            assert row is not None
            assert (row.sha256, row.uri, row.facts, row.arrived) == (
                "ab",
                "media/ab/ab",
                FACTS,
                True,
            )
        assert ledger.find(file("a", version="2")) is None
        assert ledger.find(file("b")) is None
    with SqliteLedger(tmp_path / "l.sqlite") as ledger:
        row = ledger.find(file("a"))
        assert row is not None
        assert row.facts == FACTS


def test_failures_are_counted_and_do_not_forget_what_arrived(tmp_path: Path) -> None:
    with SqliteLedger(tmp_path / "l.sqlite") as ledger:
        for _ in range(3):
            ledger.record(failed(file("a"), "access-denied", "no"))
        row = ledger.find(file("a"))
        assert row is not None
        assert (row.state, row.attempts, row.kind, row.reason) == (
            *("failed", 3, "access-denied", "no"),
        )
        ledger.record(sent("a"))
        ledger.record(failed(file("a"), "transient", "later"))
        row = ledger.find(file("a"))
        assert row is not None
        assert (row.arrived, row.sha256, row.attempts) == (True, "ab", 5)


def test_threads_may_share_a_ledger(tmp_path: Path) -> None:
    with SqliteLedger(tmp_path / "l.sqlite") as ledger:

        def work(n: int) -> None:
            for i in range(200):
                ledger.record(sent(f"{n}-{i}"))
                assert ledger.find(file(f"{n}-{i}")) is not None or i % 10

        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    with SqliteLedger(tmp_path / "l.sqlite") as ledger:
        assert all(ledger.find(file(f"{n}-199")) for n in range(4))


def test_a_killed_writer_leaves_a_whole_ledger(tmp_path: Path) -> None:
    path = tmp_path / "l.sqlite"
    program = (
        "import sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from pathlib import Path\n"
        "from test_ledger import sent\n"
        "from trainset.transfer.ledger import SqliteLedger\n"
        "ledger = SqliteLedger(Path(sys.argv[1]))\n"
        "for i in range(10**9):\n"
        "    ledger.record(sent(str(i)))\n"
        "    if i == 2100: print('go', flush=True)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    with SqliteLedger(path) as ledger:
        # The windows before the last are there: 500 rows each.
        assert all(ledger.find(file(str(i))) for i in range(1500))
        ledger.record(sent("after"))
    assert sqlite3.connect(path).execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.parametrize("content", [b"this is no database at all" * 100, b"layout 99"])
def test_a_broken_ledger_is_set_aside(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "l.sqlite"
    if content == b"layout 99":
        with sqlite3.connect(path) as db:
            db.execute("PRAGMA user_version = 99")
        db.close()
    else:
        path.write_bytes(content)
    with SqliteLedger(path) as ledger:
        ledger.record(sent("a"))
        assert ledger.find(file("a")) is not None
    assert (tmp_path / "l.sqlite.broken").exists()


def test_a_ledger_of_layout_1_opens_with_all_it_knew(tmp_path: Path) -> None:
    path = tmp_path / "l.sqlite"
    shutil.copy(Path(__file__).parents[1] / "fixtures" / "ledger-layout-1.sqlite", path)
    for _ in range(2):
        with SqliteLedger(path) as ledger:
            assert not ledger.is_new
            rows = {(uri, version): row for (uri, version, _), row in ledger.rows()}
            states = {key: (row.state, row.attempts, row.arrived) for key, row in rows.items()}
            assert states == {
                ("/src/a.jpg", "1"): ("sent", 1, True),
                ("/src/a.jpg", "2"): ("sent", 1, True),
                ("/src/b.jpg", "1"): ("duplicate", 1, True),
                ("/src/c.jpg", "1"): ("failed", 3, False),
                ("/src/d.jpg", "1"): ("sent", 2, True),
            }
            facts = rows["/src/a.jpg", "1"].facts
            assert facts is not None
            assert (facts.width, facts.height) == (640, 480)
            assert rows["/src/a.jpg", "1"].version_id == "4_z1"
            assert list(ledger.files_of("aa" * 32)) == ["/src/a.jpg", "/src/b.jpg"]
            assert ledger.find_content("dd" * 32, "media/") is not None
            assert list(ledger.dead_letters()) == []
    assert not (tmp_path / "l.sqlite.broken").exists()


def test_two_processes_may_bring_a_ledger_of_layout_1_up_at_once(tmp_path: Path) -> None:
    path = tmp_path / "l.sqlite"
    shutil.copy(Path(__file__).parents[1] / "fixtures" / "ledger-layout-1.sqlite", path)
    ledgers: list[SqliteLedger] = []
    threads = [
        threading.Thread(target=lambda: ledgers.append(SqliteLedger(path))) for _ in range(4)
    ]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert [sum(1 for _ in ledger.rows()) for ledger in ledgers] == [5] * 4
    for ledger in ledgers:
        ledger.close()


def test_noted_parts_outlive_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "l.sqlite"
    program = (
        "import itertools, sys\n"
        "from pathlib import Path\n"
        "from trainset.stores.base import Part, Upload\n"
        "from trainset.transfer.ledger import SqliteLedger\n"
        "log = SqliteLedger(Path(sys.argv[1])).part_log()\n"
        "log.begin('media/x', Upload(upload_id='u1', size=10**6, part_bytes=10))\n"
        "for n in itertools.count(1):\n"
        "    log.note('media/x', Part(number=n, size=10, etag=f'e{n}', sha256=f's{n}'))\n"
        "    print(n, flush=True)\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    while int(child.stdout.readline()) < 5:
        pass
    os.kill(child.pid, signal.SIGKILL)
    confirmed = 5 + len(child.stdout.readlines())
    child.wait()
    with SqliteLedger(path) as ledger:
        upload = ledger.part_log().find("media/x")
        assert upload is not None
        assert upload.upload_id == "u1"
        numbers = [part.number for part in ledger.part_log().parts("media/x")]
        assert numbers[:confirmed] == list(range(1, confirmed + 1))


def test_contents_are_found_by_the_index(tmp_path: Path) -> None:
    """Without it every file of a run would read the whole ledger."""
    with SqliteLedger(tmp_path / "l.sqlite") as ledger:
        asked: list[str] = []
        ledger._db.set_trace_callback(asked.append)
        ledger.find_content("ab" * 32, "media/")
        ledger._db.set_trace_callback(None)
        plans = [ledger.all(f"EXPLAIN QUERY PLAN {query}") for query in asked if "files" in query]
        assert plans
        for plan in plans:
            steps = [step[-1] for step in plan]
            assert any(step.startswith("SEARCH files USING INDEX files_by_c") for step in steps)
            assert not any(step.startswith("SCAN") for step in steps)
