"""The clients that ``transfer.py`` compares, as commands: ours, s5cmd, rclone, awscli, boto3.

As a script: the client that is ours, and the plain boto3 one.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # a client loads what its own work needs, and nothing of the benchmark's
    from s3_server import Bucket

THREADS = 32  # of every client, for small files
# Ours -> what its figures are called behind.
OURS = {"trainset": "", "trainset-boto3": "_boto3_sender"}
UNLIMITED = 1e6  # requests/s: the peers do not hold back either
_PROGRAMS = {"s5cmd": "s5cmd", "rclone": "rclone", "awscli": "aws"}

Command = Callable[[str, "Work", "Bucket", str, Path], list[str]]


@dataclass(frozen=True)
class Work:
    """A folder of files; ``kind`` is small or large."""

    kind: str
    folder: Path
    files: int
    bytes: int


def available() -> tuple[list[str], dict[str, str]]:
    """Clients that can run here, and the programs that the others lack."""
    missing = {c: program for c, program in _PROGRAMS.items() if not shutil.which(program)}
    return [client for client in COMMANDS if client not in missing], missing


def _python(
    client: str, operation: str, work: Work, bucket: Bucket, prefix: str, target: Path
) -> list[str]:
    words = [client, operation, str(work.folder), bucket.name, prefix, str(target)]
    return [sys.executable, __file__, *words]


def _trainset(*arguments: Any) -> list[str]:
    return _python("fast", *arguments)


def _trainset_boto3(*arguments: Any) -> list[str]:
    return _python("boto3", *arguments)


def _boto3(*arguments: Any) -> list[str]:
    return _python("peer", *arguments)


def _s5cmd(operation: str, work: Work, bucket: Bucket, prefix: str, target: Path) -> list[str]:
    far = f"s3://{bucket.name}/{prefix}/"
    way = [f"{work.folder}/*", far] if operation == "upload" else [f"{far}*", f"{target}/"]
    return [
        *("s5cmd", "--endpoint-url", bucket.credentials.endpoint, "--numworkers", str(THREADS)),
        *("cp", "--concurrency", "4", "--part-size", "16", *way),
    ]


def _rclone(operation: str, work: Work, bucket: Bucket, prefix: str, target: Path) -> list[str]:
    far = f"bench:{bucket.name}/{prefix}"
    way = [str(work.folder), far] if operation == "upload" else [far, str(target)]
    at_once = str(THREADS) if work.kind == "small" else "4"
    return [
        *("env", "-u", "AWS_CA_BUNDLE"),  # rclone's S3 library cannot use one
        *("rclone", "copy", *way, "--transfers", at_once, "--checkers", "16"),
        *("--s3-upload-concurrency", "4", "--s3-chunk-size", "16M", "--s3-upload-cutoff", "100M"),
    ]


def _awscli(operation: str, work: Work, bucket: Bucket, prefix: str, target: Path) -> list[str]:
    far = f"s3://{bucket.name}/{prefix}/"
    way = [str(work.folder), far] if operation == "upload" else [far, str(target)]
    endpoint = bucket.credentials.endpoint
    return ["aws", "--endpoint-url", endpoint, "s3", "cp", "--recursive", "--quiet", *way]


COMMANDS: dict[str, Command] = {
    "trainset": _trainset,
    "trainset-boto3": _trainset_boto3,
    "s5cmd": _s5cmd,
    "rclone": _rclone,
    "awscli": _awscli,
    "boto3": _boto3,
}


# What follows runs in the child.


def _upload(sender: Any, work: Path, url: str, manifest: Path) -> None:
    """A whole transfer, as a run does it: list, plan, send, every outcome in the ledger."""
    from trainset.home import open_home
    from trainset.model import StoreOptions
    from trainset.spec import MediaSource
    from trainset.stores import open_source
    from trainset.transfer import list_source, plan_transfer, send_batch, transfer_totals
    from trainset.transfer.ledger import open_ledger

    options = StoreOptions(sender=sender, requests_per_s=UNLIMITED)
    home = open_home(url, create=True, options=options)
    source = MediaSource.model_validate({"name": "bench", "from": str(work)})
    store = open_source(source.from_)
    listing = list_source(source, store, home=home.url)
    plan = plan_transfer(listing, {}, [source], now=datetime.now(UTC))
    ledger = open_ledger(home.state, home.url, url=None)
    outcomes = []
    for batch in plan.batches:
        outcomes += send_batch(batch, sources={"bench": store}, home=home, ledger=ledger)
    ledger.close()
    totals = transfer_totals(outcomes)
    if not totals.balances or totals.sent != plan.files:
        raise SystemExit(f"not everything arrived: {totals}")
    rows = [(o.file.path, o.uri, o.sha256) for o in outcomes]
    manifest.write_text(json.dumps(rows), encoding="utf-8")


def _download(sender: Any, url: str, manifest: Path, target: Path) -> None:
    """Every object of the manifest into a file, compared with its sha256."""
    from trainset.home import open_home
    from trainset.model import StoreOptions

    home = open_home(url, options=StoreOptions(sender=sender, requests_per_s=UNLIMITED))
    large = "large" in manifest.name

    def bring(row: tuple[str, str, str]) -> None:
        name, uri, sha256 = row
        if large:
            home.store.fetch_file(uri, target / name, sha256=sha256, durable=False)
            return
        data = home.read_media(uri)
        if hashlib.sha256(data).hexdigest() != sha256:
            raise SystemExit(f"{name} came back with other bytes")
        (target / name).write_bytes(data)

    with ThreadPoolExecutor(4 if large else THREADS) as pool:
        list(pool.map(bring, json.loads(manifest.read_text(encoding="utf-8"))))


def _plain_boto3(operation: str, work: Path, bucket: str, prefix: str, target: Path) -> None:
    """What a careful script does: put_object and get_object from threads, parts for large files."""
    import boto3
    from boto3.s3.transfer import TransferConfig
    from botocore.config import Config

    client = boto3.client(
        "s3",
        endpoint_url=os.environ["TRAINSET_S3_ENDPOINT"],
        config=Config(s3={"addressing_style": "path"}, max_pool_connections=THREADS),
    )
    parts = TransferConfig(
        multipart_threshold=100 * 2**20, multipart_chunksize=16 * 2**20, max_concurrency=4
    )
    large = "large" in prefix

    def one(name: str) -> None:
        path, key = work / name, f"{prefix}/{name}"
        if operation == "upload" and large:
            client.upload_file(str(path), bucket, key, Config=parts)
        elif operation == "upload":
            client.put_object(Bucket=bucket, Key=key, Body=path.read_bytes())
        elif large:
            client.download_file(bucket, key, str(target / name), Config=parts)
        else:
            body = client.get_object(Bucket=bucket, Key=key)["Body"].read()
            (target / name).write_bytes(body)

    with ThreadPoolExecutor(4 if large else THREADS) as pool:
        list(pool.map(one, sorted(p.name for p in work.iterdir())))


def _main(client: str, operation: str, *words: str) -> None:
    folder, bucket, prefix, target = Path(words[0]), words[1], words[2], Path(words[3])
    manifest = folder.parent / f"{prefix}.json"
    os.environ["TRAINSET_STATE"] = str(folder.parent / "state")
    url = f"s3://{bucket}/{prefix}"
    if client == "peer":
        _plain_boto3(operation, folder, bucket, prefix, target)
    elif operation == "upload":
        _upload(client, folder, url, manifest)
    else:
        _download(client, url, manifest, target)


if __name__ == "__main__":
    _main(*sys.argv[1:])
