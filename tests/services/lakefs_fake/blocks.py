"""Where the bytes are: a folder of the fake's own, or a bucket on loopback."""

from __future__ import annotations

import hashlib
import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlsplit

from services.lakefs_fake.errors import BytesGone, Forbidden, Invalid, Refused

_PRESIGNED_S = 900
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Found(NamedTuple):
    """One object outside the repositories, seen by an import."""

    address: str
    name: str  # behind the prefix that was walked
    size: int
    mtime: int  # seconds
    checksum: str


class Blocks(Protocol):
    kind: str  # the scheme of its addresses: local or s3

    def put(self, address: str, data: bytes) -> None: ...

    def get(self, address: str, start: int = 0, stop: int | None = None) -> bytes:
        """The bytes from ``start`` to before ``stop``; raises BytesGone."""

    def walk(self, prefix: str) -> Iterator[Found]:
        """Every object under a prefix, or the one of that address."""

    def shown(self, address: str) -> str:
        """An address as the API gives it; raises Refused for one that must not be touched."""

    def presigned(self, address: str, method: str) -> tuple[str, int]:
        """A URL that needs no keys, and when it ends (Unix time); raises Invalid without any."""


class LocalBlocks:
    """``local://name/…`` lies in the fake's folder; ``local:///…`` is an absolute path."""

    kind = "local"

    def __init__(self, folder: Path, external: list[str]) -> None:
        self.folder = folder
        self.external = tuple(external)  # the absolute folders that may be read too

    def _path(self, address: str) -> Path:
        self.shown(address)
        if not address.startswith("local://"):
            raise Refused(f"{address}: not an address of a local block store")
        rest = address.removeprefix("local://")
        return Path(rest) if rest.startswith("/") else self.folder / rest

    def shown(self, address: str) -> str:
        """As lakeFS does it: every address, an absolute path too, behind the store's own folder."""
        if not address.startswith("local://"):
            return address
        rest = address.removeprefix("local://")
        if os.path.normpath(rest) != rest.rstrip("/"):
            raise Refused(f"{address}: bad path traversal blocked")
        if rest.startswith("/") and not rest.startswith(self.external):
            raise Forbidden(f"{address}: outside the prefixes that the server may read")
        return f"local://{self.folder}/{rest.removeprefix('/')}"

    def presigned(self, address: str, method: str) -> tuple[str, int]:
        raise Invalid("a local block store gives no presigned URL: operation not supported")

    def put(self, address: str, data: bytes) -> None:
        path = self._path(address)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
        part.write_bytes(data)
        part.replace(path)

    def get(self, address: str, start: int = 0, stop: int | None = None) -> bytes:
        try:
            with open(self._path(address), "rb") as file:
                file.seek(start)
                return file.read(-1 if stop is None else stop - start)
        except OSError as error:
            raise BytesGone(f"{address}: no data") from error

    def walk(self, prefix: str) -> Iterator[Found]:
        root = self._path(prefix)
        if not root.exists():
            raise Refused(f"{prefix}: no such file or folder")
        if root.is_file():
            yield self._found(root, root.name)
        for folder, folders, files in os.walk(root):
            folders.sort()
            for file in sorted(files):
                path = Path(folder) / file
                yield self._found(path, str(path.relative_to(root)))

    def _found(self, path: Path, name: str) -> Found:
        stat = path.stat()
        checksum = hashlib.md5(path.read_bytes()).hexdigest()
        return Found(f"local://{path}", name, stat.st_size, int(stat.st_mtime), checksum)


class S3Blocks:
    """A bucket of an S3 server on loopback: a fake never touches a user's bucket."""

    kind = "s3"

    def __init__(self, endpoint: str, key_id: str, secret: str) -> None:
        if urlsplit(endpoint).hostname not in _LOOPBACK:
            raise ValueError(f"{endpoint}: the lakeFS fake uses S3 servers on loopback only")
        import boto3
        from botocore.config import Config

        self._client: Any = boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name="us-east-1",
            aws_access_key_id=key_id,
            aws_secret_access_key=secret,
            config=Config(
                s3={"addressing_style": "path"},
                max_pool_connections=64,
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )

    def shown(self, address: str) -> str:
        return address

    def presigned(self, address: str, method: str) -> tuple[str, int]:
        url = self._client.generate_presigned_url(
            method, Params=self._place(address), ExpiresIn=_PRESIGNED_S
        )
        return url, int(time.time()) + _PRESIGNED_S

    def _place(self, address: str) -> dict[str, str]:
        if not address.startswith("s3://"):
            raise Refused(f"{address}: not an address of an S3 block store")
        bucket, _, key = address.removeprefix("s3://").partition("/")
        return {"Bucket": bucket, "Key": key}

    def put(self, address: str, data: bytes) -> None:
        self._client.put_object(**self._place(address), Body=data)

    def get(self, address: str, start: int = 0, stop: int | None = None) -> bytes:
        part = {"Range": f"bytes={start}-{stop - 1}"} if stop is not None else {}
        if stop is not None and stop <= start:
            return b""
        try:
            return self._client.get_object(**self._place(address), **part)["Body"].read()
        except self._client.exceptions.ClientError as error:
            raise BytesGone(f"{address}: no data") from error

    def walk(self, prefix: str) -> Iterator[Found]:
        place = self._place(prefix)
        pages = self._client.get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=place["Bucket"], Prefix=place["Key"]):
            for item in page.get("Contents", []):
                name = item["Key"].removeprefix(place["Key"][: place["Key"].rfind("/") + 1])
                yield Found(
                    f"s3://{place['Bucket']}/{item['Key']}",
                    name,
                    item["Size"],
                    int(item["LastModified"].timestamp()),
                    item["ETag"].strip('"'),
                )
