"""A lakeFS server for tests: the one that is given, one of our own, else the fake.

Given: ``LAKEFS_ENDPOINT``, ``LAKEFS_ACCESS_KEY_ID`` and ``LAKEFS_SECRET_ACCESS_KEY``, and if wanted
``LAKEFS_STORAGE`` (where repositories may be made) and ``LAKEFS_EXTERNAL`` (a prefix outside them,
which the server reads and tests write: ``local:///folder``, or ``s3://bucket/prefix`` with
``S3_ENDPOINT``, ``S3_ACCESS_KEY``, ``S3_SECRET_KEY``). Our own: a ``lakefs`` binary on the PATH.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from services import real
from services.lakefs_fake import KEY_ID, SECRET
from services.rgw import end_with_parent, free_ports
from services.s3_endpoint import S3Bucket

_NAMES = ("LAKEFS_", "S3_")
# Read before the test session clears the developer's settings.
_GIVEN = {name: value for name, value in os.environ.items() if name.startswith(_NAMES)}
_READY_S = 60
INSTALL = "build ./cmd/lakefs of github.com/treeverse/lakeFS with Go and lay it on the PATH"


@dataclass(frozen=True)
class LakeFSServer:
    """A running server; ``kind``: given, binary or fake."""

    kind: str
    endpoint: str
    key_id: str
    secret: str = field(repr=False)
    storage: str  # a repository's namespace is storage/name; nobody else uses this prefix
    external: str | None  # a prefix outside the repositories; no one else's either
    version: str
    s3: dict[str, str] = field(default_factory=dict, repr=False)  # S3_ENDPOINT, … of external

    def put_external(self, name: str, data: bytes) -> str:
        """Write an object outside the repositories; returns its physical address."""
        address = f"{self.external}/{name}"
        if address.startswith("local://"):
            path = Path(address.removeprefix("local://"))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            return address
        import boto3
        from botocore.config import Config

        bucket, _, key = address.removeprefix("s3://").partition("/")
        boto3.client(
            "s3",
            endpoint_url=self.s3["S3_ENDPOINT"],
            aws_access_key_id=self.s3["S3_ACCESS_KEY"],
            aws_secret_access_key=self.s3["S3_SECRET_KEY"],
            config=Config(request_checksum_calculation="when_required"),  # B2 takes none
        ).put_object(Bucket=bucket, Key=key, Body=data)
        return address

    @property
    def environment(self) -> dict[str, str]:
        """What the conformance suite and trainset's own programs read."""
        return {
            "LAKEFS_ENDPOINT": self.endpoint,
            "LAKEFS_ACCESS_KEY_ID": self.key_id,
            "LAKEFS_SECRET_ACCESS_KEY": self.secret,
            "LAKEFS_STORAGE": self.storage,
            "LAKEFS_STORAGE_NAMESPACE": self.storage,
            **({"LAKEFS_EXTERNAL": self.external} if self.external else {}),
            **self.s3,
        }


def kinds() -> list[str]:
    """What can be started here; the last one is the most real."""
    if "LAKEFS_ENDPOINT" in _GIVEN:
        return ["fake", "given"]
    return ["fake", "binary"] if shutil.which("lakefs") else ["fake"]


def choices() -> list[tuple[str, str]]:
    """Every kind with every place for its bytes: what a test of servers runs on."""
    return [
        (kind, blocks)
        for kind in kinds()
        for blocks in (["its own"] if kind == "given" else ["folder", "bucket"])
    ]


@contextmanager
def lakefs_server(
    kind: str | None = None, *, bucket: S3Bucket | None = None
) -> Iterator[LakeFSServer]:
    """A running server until the block ends.

    Args:
        kind: of ``kinds``; by default the most real one.
        bucket: where the server keeps its bytes, by default in a folder of its own. A server that
            is given has its own block store, whatever is said here.
    """
    if kind is None and kinds()[-1] == "fake":
        real.missing["lakeFS server"] = INSTALL
    kind = kind or kinds()[-1]
    if kind == "given":
        yield _given()
        return
    root = Path(tempfile.mkdtemp(prefix="lakefs-", dir="/tmp"))
    with open(root / "server.log", "w+b") as log:
        start = _start_fake if kind == "fake" else _start_binary
        process, endpoint = start(root, bucket, log)
        try:
            _wait(endpoint, process, root / "server.log")
            yield _describe(kind, endpoint, root, bucket)
        finally:
            process.kill()  # its state is of this session only
            process.wait()
            shutil.rmtree(root, ignore_errors=True)


def _given() -> LakeFSServer:
    unique = uuid.uuid4().hex[:12]
    keys = _GIVEN["LAKEFS_ACCESS_KEY_ID"], _GIVEN["LAKEFS_SECRET_ACCESS_KEY"]
    endpoint = _GIVEN["LAKEFS_ENDPOINT"].rstrip("/")
    storage = _GIVEN.get("LAKEFS_STORAGE", "local://trainset-tests").rstrip("/")
    external = _GIVEN.get("LAKEFS_EXTERNAL", "").rstrip("/")
    return LakeFSServer(
        "given",
        endpoint,
        *keys,
        f"{storage}/{unique}",
        f"{external}/{unique}" if external else None,
        _version(endpoint, *keys),
        {name: value for name, value in _GIVEN.items() if name.startswith("S3_")},
    )


def _describe(kind: str, endpoint: str, root: Path, bucket: S3Bucket | None) -> LakeFSServer:
    unique = uuid.uuid4().hex[:12]
    version = _version(endpoint, KEY_ID, SECRET)
    storage, external = f"local://trainset-{unique}", f"local://{root}/external"
    if bucket is not None:
        storage = f"{bucket.url}/lakefs-{unique}"
        external = f"{bucket.url}/external-{unique}"
    return LakeFSServer(
        kind, endpoint, KEY_ID, SECRET, storage, external, version, _s3_environment(bucket)
    )


def _s3_environment(bucket: S3Bucket | None) -> dict[str, str]:
    if bucket is None:
        return {}
    return {
        "S3_ENDPOINT": bucket.endpoint.url,
        "S3_ACCESS_KEY": bucket.endpoint.key_id,
        "S3_SECRET_KEY": bucket.endpoint.secret,
    }


Started = tuple[subprocess.Popen[bytes], str]  # the process and its endpoint


def _start_fake(root: Path, bucket: S3Bucket | None, log: IO[bytes]) -> Started:
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "services.lakefs_fake", "--port", str(port)]
    if bucket is None:
        command += ["--folder", f"{root}/blocks", "--external", f"{root}/external"]
    else:
        command += ["--s3", bucket.endpoint.url]
    paths = {"PYTHONPATH": str(Path(__file__).parents[1])}
    return _spawn(command, {**paths, **_s3_environment(bucket)}, log), f"http://127.0.0.1:{port}"


def _start_binary(root: Path, bucket: S3Bucket | None, log: IO[bytes]) -> Started:
    (port,) = free_ports(1)
    config = root / "lakefs.yaml"
    config.write_text(json.dumps(_configuration(root, port, bucket)))
    command = ["lakefs", "--config", str(config), "run"]
    return _spawn(command, {"HOME": str(root)}, log), f"http://127.0.0.1:{port}"


def _configuration(root: Path, port: int, bucket: S3Bucket | None) -> dict[str, object]:
    store: dict[str, object] = {
        "type": "local",
        "local": {
            "path": f"{root}/blocks",
            "import_enabled": True,
            "allowed_external_prefixes": [f"{root}/external"],
        },
    }
    if bucket is not None:
        keys = {
            "access_key_id": bucket.endpoint.key_id,
            "secret_access_key": bucket.endpoint.secret,
        }
        store = {
            "type": "s3",
            "s3": {
                "endpoint": bucket.endpoint.url,
                "region": "us-east-1",
                "force_path_style": True,
                "discover_bucket_region": False,
                "credentials": keys,
            },
        }
    return {
        "listen_address": f"127.0.0.1:{port}",
        "database": {"type": "local", "local": {"path": f"{root}/kv"}},
        "blockstore": store,
        "auth": {"encrypt": {"secret_key": "only for this test session"}},
        "stats": {"enabled": False},
        "logging": {"level": "ERROR"},
        "installation": {
            "user_name": "trainset-tests",
            "access_key_id": KEY_ID,
            "secret_access_key": SECRET,
        },
    }


def _spawn(
    command: list[str], environment: dict[str, str], log: IO[bytes]
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        preexec_fn=end_with_parent,
    )


def _wait(endpoint: str, process: subprocess.Popen[bytes], log: Path) -> None:
    give_up = time.monotonic() + _READY_S
    while True:
        try:
            with urllib.request.urlopen(f"{endpoint}/api/v1/healthcheck", timeout=5) as reply:
                if reply.status == 204:
                    return
        except OSError:
            time.sleep(0.05)
        if process.poll() is not None or time.monotonic() > give_up:
            raise RuntimeError(f"{process.args}: {log.read_text(errors='replace')[-2000:]}")


def _version(endpoint: str, key_id: str, secret: str) -> str:
    keys = base64.b64encode(f"{key_id}:{secret}".encode()).decode()
    request = urllib.request.Request(
        f"{endpoint}/api/v1/config/version", headers={"Authorization": f"Basic {keys}"}
    )
    with urllib.request.urlopen(request, timeout=30) as reply:
        return str(json.load(reply)["version"])
