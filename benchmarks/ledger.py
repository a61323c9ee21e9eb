"""The transfer ledger at a million files: ``python benchmarks/ledger.py [--quick] [--json]``.

Each step is a process of its own: fill, list all, claim and record new files in batches of 100,
claim all again (what a second run asks), copy. Targets: 40 µs CPU a file for claim and record,
300 MB of memory at any number of files.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from measure import Measured, Results, arguments, in_child

from trainset.model import MediaFacts
from trainset.transfer.base import Outcome, SourceFile
from trainset.transfer.ledger import new_owner, open_ledger

_FACTS = MediaFacts(mime="image/jpeg", modality="image", width=1920, height=1080)
_MODIFIED = datetime(2026, 1, 1, tzinfo=UTC)
_BATCH = 100


def fill(state: str, first: int, files: int) -> int:
    """Record files that arrived, as a first run does that needs no claims."""
    with open_ledger(Path(state), "benchmark") as ledger:
        for number in range(first, first + files):
            ledger.record(_sent(_file(number)))
    return files


def list_all(state: str) -> int:
    with open_ledger(Path(state), "benchmark") as ledger:
        return sum(1 for _ in ledger.rows())


def claim_and_record(state: str, first: int, files: int) -> int:
    """New files: claimed 100 at a time, then recorded one by one."""
    owner = new_owner("benchmark")
    with open_ledger(Path(state), "benchmark") as ledger:
        for batch in _batches(first, files):
            assert all(claim.mine for claim in ledger.claim(batch, owner=owner))
            for file in batch:
                ledger.record(_sent(file))
    return files


def only_make(first: int, files: int) -> int:
    """The files and outcomes that the other steps make: not the ledger's cost."""
    for batch in _batches(first, files):
        for file in batch:
            _sent(file)
    return files


def hold_and_let_go(state: str, first: int, files: int) -> int:
    """What a shared ledger asks for each content beside claim and record."""
    owner = new_owner("benchmark")
    with open_ledger(Path(state), "benchmark") as ledger:
        for number in range(first, first + files):
            sha256 = _sha256(number)
            assert ledger.hold_content(sha256, owner=owner)
            ledger.let_go_content(sha256, owner)
    return files


def scan(state: str, files: int) -> int:
    """Claim what arrived already, as a run does that begins anew."""
    owner = new_owner("benchmark")
    with open_ledger(Path(state), "benchmark") as ledger:
        for batch in _batches(0, files):
            claims = ledger.claim(batch, owner=owner)
            assert all(claim.row is not None and claim.row.arrived for claim in claims)
    return files


def _batches(first: int, files: int) -> Iterator[list[SourceFile]]:
    for start in range(first, first + files, _BATCH):
        yield [_file(n) for n in range(start, min(start + _BATCH, first + files))]


def _file(number: int) -> SourceFile:
    # Ascending, as a listing is; the hashes are not: they go all over their index.
    path = f"camera-{number // 100_000:02d}/2026-01-{number // 5000 % 20 + 1:02d}/{number:09d}.jpg"
    return SourceFile(
        key=f"cameras/{path}",
        source="cameras",
        path=path,
        uri=f"s3://acme-raw-footage/{path}",
        size=50_000 + number % 1000,
        version=f"{number:032x}",
        modified=_MODIFIED,
    )


def _sent(file: SourceFile) -> Outcome:
    sha256 = _sha256(int(file.version, 16))
    uri = f"media/{sha256[:2]}/{sha256}"
    return Outcome(
        file=file, status="sent", sha256=sha256, uri=uri, version_id="4_z" + "7" * 60, facts=_FACTS
    )


def _sha256(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def main() -> None:
    args = arguments(str(__doc__))
    rows = 100_000 if args.quick else 1_000_000
    new = rows // 10
    results, peak = Results(), 0.0
    with tempfile.TemporaryDirectory(prefix="ledger-benchmark-") as state:
        made = in_child("ledger:only_make", 0, new)
        own_us = made.cpu_s / new * 1e6
        steps: list[tuple[str, int, Measured, bool]] = [
            ("fill", rows, in_child("ledger:fill", state, 0, rows), True),
            ("list all", rows, in_child("ledger:list_all", state), False),
            ("claim and record", new, in_child("ledger:claim_and_record", state, rows, new), True),
            ("hold and let go", new, in_child("ledger:hold_and_let_go", state, 0, new), False),
            ("resume scan", rows, in_child("ledger:scan", state, rows), True),
        ]
        size = sum(path.stat().st_size for path in Path(state).iterdir())
    for name, files, step, makes in steps:
        assert step.value >= files, f"{name}: {step.value} of {files} files"
        cpu_us = step.cpu_s / files * 1e6 - (own_us if makes and name != "resume scan" else 0)
        results.add(f"{name}: speed", files / step.wall_s, "files/s")
        results.add(f"{name}: CPU without making the files", cpu_us, "µs/file")
        results.add(f"{name}: peak memory", step.peak_mb, "MB")
        peak = max(peak, step.peak_mb)
    results.add("all: peak memory (target 300)", peak, "MB")
    results.add("file on disk", size / (rows + new), "bytes/file")
    print(f"{rows:,} files, Python {sys.version.split()[0]}", file=sys.stderr)
    if args.json:
        results.print_json()


if __name__ == "__main__":
    main()
