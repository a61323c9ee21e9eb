"""Uploads and downloads: trainset and its peers on the same files, against the same S3 server.

    python benchmarks/transfer.py [--quick] [--json] [--rounds N]

Every client runs as a process of its own, in turn, round after round; figures are medians, and a
ratio is ours over the peer's of the same round (median of the rounds). trainset's uploads are whole
transfers (listing, plan, ledger, sha256 of every byte, checked by the server: L1) and its downloads
are compared with their sha256. Peers that are not on PATH are left out, and said. The server is
the one that B2_KEY_ID, B2_APPLICATION_KEY and TRAINSET_S3_ENDPOINT name, else a Ceph gateway that
is started for the run.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from processes import measured
from s3_server import Bucket, bench_bucket
from transfer_clients import COMMANDS, OURS, Work, available

SMALL, LARGE = (2_000, 30_000, 70_000), (4, 256 * 2**20, 256 * 2**20)  # files, bytes from … to
QUICK_SMALL, QUICK_LARGE = (300, 30_000, 70_000), (2, 128 * 2**20, 128 * 2**20)


class Figure(NamedTuple):
    """One client on one piece of work; ``rate`` in files/s (small) or MB/s (large)."""

    rate: float
    cpu_s: float
    rss_mb: float


Figures = dict[str, dict[str, list[Figure]]]  # figure's name -> client -> one a round


def main() -> int:
    options = _options()
    clients, missing = available()
    for client, program in missing.items():
        print(f"{client} is left out: put {program} on PATH to compare", file=sys.stderr)
    figures: Figures = {}
    with bench_bucket() as bucket, tempfile.TemporaryDirectory(prefix="bench-") as folder:
        works = _make_files(Path(folder), options.quick)
        for work in works:  # the server takes its memory from the system: not at the first's cost
            command = COMMANDS["boto3"]("upload", work, bucket, work.kind, Path(folder))
            measured(command, environment=bucket.environment)
            bucket.clear()
        for number in range(options.rounds):
            _round(figures, works, bucket, Path(folder), clients, number)
            print(f"round {number + 1} of {options.rounds} done", file=sys.stderr)
    print(json.dumps(_json(figures), indent=1) if options.json else _text(figures))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="less data, one round")
    parser.add_argument("--json", action="store_true", help="figures and ratios as JSON")
    parser.add_argument("--rounds", type=int, help="default 3; 1 with --quick")
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.quick else 3)
    return options


def _make_files(folder: Path, quick: bool) -> list[Work]:
    """Random bytes, the same in every run; nothing can be compressed or sent once for two."""
    rng = random.Random(20)
    works = []
    for kind, (count, least, most) in (
        ("small", QUICK_SMALL if quick else SMALL),
        ("large", QUICK_LARGE if quick else LARGE),
    ):
        place = folder / kind
        place.mkdir()
        size = 0
        for number in range(count):
            length = rng.randint(least, most)
            with (place / f"{number:05d}.bin").open("wb") as out:
                for start in range(0, length, 2**20):
                    out.write(rng.randbytes(min(2**20, length - start)))
            size += length
        works.append(Work(kind, place, count, size))
    return works


def _round(
    figures: Figures,
    works: list[Work],
    bucket: Bucket,
    folder: Path,
    clients: list[str],
    number: int,
) -> None:
    turn = number % len(clients)  # nobody is always first
    for work in works:
        for client in clients[turn:] + clients[:turn]:
            prefix = f"{work.kind}-{client}-{number}"
            for operation in ("upload", "download"):
                target = folder / "down"
                target.mkdir()
                command = COMMANDS[client](operation, work, bucket, prefix, target)
                used = measured(command, environment=bucket.environment)
                if operation == "download":
                    _check(client, work, target)
                shutil.rmtree(target)
                amount = work.files if work.kind == "small" else work.bytes / 1e6
                figure = Figure(amount / used.wall_s, used.cpu_s, used.rss_mb)
                name = f"{operation}_{work.kind}"
                figures.setdefault(name, {}).setdefault(client, []).append(figure)
            bucket.clear(prefix)  # the server of a benchmark holds it all in memory


def _check(client: str, work: Work, target: Path) -> None:
    """Every client must have brought every byte back."""
    sizes = [p.stat().st_size for p in target.rglob("*") if p.is_file()]
    if (len(sizes), sum(sizes)) != (work.files, work.bytes):
        raise SystemExit(f"{client} brought {len(sizes)} files of {work.files}; it does not count")


def _median(found: list[Figure], field: str) -> float:
    return statistics.median(getattr(figure, field) for figure in found)


def _ratio(ours: list[Figure], peer: list[Figure], field: str = "rate") -> float:
    pairs = zip(ours, peer, strict=True)
    return statistics.median(getattr(a, field) / getattr(b, field) for a, b in pairs)


def _json(figures: Figures) -> dict[str, dict[str, object]]:
    """Ours, by figure; what the boto3 sender did has ``_boto3_sender`` behind its name."""
    found: dict[str, dict[str, object]] = {}
    for name, by_client in figures.items():
        peers = [c for c in by_client if c not in OURS]
        for client, ending in OURS.items():
            ours = by_client[client]
            rate = "files/s" if name.endswith("small") else "MB/s"
            for field, unit, suffix in (
                ("rate", rate, ""),
                ("cpu_s", "s", "_cpu"),
                ("rss_mb", "MB", "_rss"),
            ):
                found[name + ending + suffix] = {
                    "value": round(_median(ours, field), 3),
                    "unit": unit,
                    "ratio_to": {p: round(_ratio(ours, by_client[p], field), 3) for p in peers},
                }
    return found


def _text(figures: Figures) -> str:
    lines = []
    for name, by_client in figures.items():
        unit = "files/s" if name.endswith("small") else "MB/s"
        lines += [f"\n{name}", f"  {'':16}{unit:>10}{'CPU s':>9}{'RSS MB':>9}   ours over it"]
        for client, found in by_client.items():
            rate, cpu, rss = (_median(found, f) for f in Figure._fields)
            ratios = [f"{c} {_ratio(by_client[c], found):.2f}" for c in OURS if client not in OURS]
            lines.append(f"  {client:16}{rate:>10.0f}{cpu:>9.2f}{rss:>9.0f}   {', '.join(ratios)}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
