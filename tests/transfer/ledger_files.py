"""Files and outcomes for the ledger's tests, and a process that claims until it is told not to."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from trainset.model import MediaFacts
from trainset.transfer.base import Outcome, SourceFile

FACTS = MediaFacts(mime="image/png", modality="image", width=3, height=2)
ELSEWHERE = "another-host:1:1:"  # start of owners whose process nobody here can judge

_CLAIMER = """
import sys
from pathlib import Path
from ledger_files import file, sent
from trainset.transfer.ledger import new_owner, open_ledger
state, home, url, name, files, chunk, lease, pause = sys.argv[1:]
ledger = open_ledger(Path(state), home, url=url or None)
owner = new_owner(name) if name != "elsewhere" else "another-host:1:1:x"
print("go", flush=True)
sys.stdin.readline()
wanted = [file(f"{i:05d}") for i in range(int(files))]
for at in range(0, len(wanted), int(chunk)):
    some = wanted[at : at + int(chunk)]
    mine = [f for f, c in zip(some, ledger.claim(some, owner=owner, lease_s=float(lease)))
            if c.mine and not (c.row and c.row.arrived)]
    if pause == str(at):
        print("holding", len(mine), flush=True)
        sys.stdin.readline()
    for f in mine:
        print(f.path, flush=True)
        ledger.record(sent(f.path))
    ledger.flush()
ledger.close()
"""


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


def sent(name: str, version: str = "1", *, sha256: str = "ab" * 32, place: str = "") -> Outcome:
    uri = f"{place}media/{sha256[:2]}/{sha256}"
    return Outcome(
        file=file(name, version), status="sent", sha256=sha256, uri=uri, version_id="v", facts=FACTS
    )


def claimer(
    state: Path, home: str, url: str | None, name: str, *, pause: int = -1, lease_s: float = 600
) -> subprocess.Popen[str]:
    """A process that waits for a line, then claims 2,000 files in chunks of 50, and prints each.

    Args:
        name: of its batch; ``elsewhere``: as if on another host.
        pause: holds the chunk that begins here until it gets another line.
    """
    here = Path(__file__).parent
    paths = os.pathsep.join([str(here), str(here.parents[1])])
    arguments = [str(state), home, url or "", name, "2000", "50", str(lease_s), str(pause)]
    child = subprocess.Popen(
        [sys.executable, "-c", _CLAIMER, *arguments],
        env={**os.environ, "PYTHONPATH": paths},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "go\n"
    return child


def told(child: subprocess.Popen[str]) -> None:
    """Let the process go on."""
    assert child.stdin is not None
    child.stdin.write("\n")
    child.stdin.flush()
