"""``S3Store``: a bucket prefix as an object store, with the settings that Backblaze B2 needs."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

from trainset.errors import InputError, NotFound
from trainset.model import Credentials, StoreOptions
from trainset.stores.atomic import replacing, sweep
from trainset.stores.base import ObjectInfo, PartLog
from trainset.stores.keys import check_key
from trainset.stores.local_errors import translated as local_translated
from trainset.stores.parts import MULTIPART_BYTES
from trainset.stores.retry import Retrier
from trainset.stores.s3_client import make_client, normal_endpoint, region_of
from trainset.stores.s3_errors import translated
from trainset.stores.s3_list import ObjectVersion, list_objects, list_versions
from trainset.stores.s3_protect import (
    customer_key_parameters,
    encryption_parameters,
    lock_parameters,
)
from trainset.stores.s3_put import (
    put_bytes,
    put_open_file,
    server_checks_sha256,
    version_id_of,
)
from trainset.stores.s3_reader import RANGED_BYTES, OpenAt, S3Reader, fetch_ranges, read_all
from trainset.stores.sender import BLOCK, Download, Sender
from trainset.stores.sender_choice import make_sender
from trainset.stores.throttle import shared_gate

T = TypeVar("T")
_PARTS_AT_ONCE = 8


class S3Store:
    """Bytes in one bucket, below ``prefix``; ``version`` is the ETag. Safe to share by threads.

    Args:
        prefix: without slashes at its ends; "" for the whole bucket.
        retrier: budget of each request; also the pause that all threads keep when throttled.
        options: sender, limits and protection.
        multipart_bytes: files of this size and more go in parts (B2 advises a single PUT up to
            100 MB).
    """

    def __init__(
        self,
        bucket: str,
        prefix: str,
        credentials: Credentials,
        *,
        retrier: Retrier | None = None,
        multipart_bytes: int = MULTIPART_BYTES,
        options: StoreOptions | None = None,
    ) -> None:
        self.bucket, self.prefix = bucket, prefix
        self.url = f"s3://{bucket}/{prefix}".rstrip("/")
        self.endpoint = normal_endpoint(credentials.endpoint)
        self.client = make_client(credentials)
        self._credentials = credentials
        self.options = options or StoreOptions()
        self.root = f"{prefix}/" if prefix else ""
        self._retrier = retrier or Retrier(
            gate=shared_gate(self.endpoint, credentials.key_id, self.options),
            renew=self.client.close,
        )
        self.multipart_bytes = multipart_bytes
        # With SSE-C every request that touches bytes bears the key; else empty.
        self.key_parameters = customer_key_parameters(self.options.protection, credentials)
        pace = self._retrier.gate.pace
        self.sender: Sender = make_sender(
            self.options.sender, self.client, credentials, bucket, pace
        )

    def __repr__(self) -> str:
        return f"S3Store({self.url!r}, endpoint={self.endpoint!r})"

    def uri(self, key: str) -> str:
        return f"s3://{self.bucket}/{self.full_key(key)}"

    def full_key(self, key: str) -> str:
        """The object's name in the bucket."""
        return self.root + check_key(key)

    def local_path(self, key: str) -> Path | None:
        return None

    def storage_options(self) -> dict[str, str]:
        return {
            "aws_access_key_id": self._credentials.key_id,
            "aws_secret_access_key": self._credentials.application_key.get_secret_value(),
            "aws_endpoint": self.endpoint,
            "aws_region": region_of(self.endpoint),
            "aws_virtual_hosted_style_request": "false",
            "allow_http": "true" if self.endpoint.startswith("http://") else "false",
        }

    def head(self, key: str) -> ObjectInfo | None:
        try:
            reply = self.request("head", key, lambda: self.named("head_object", key))
        except NotFound:
            return None
        return ObjectInfo(
            key=key,
            size=reply["ContentLength"],
            version=reply["ETag"].strip('"'),
            version_id=version_id_of(reply),
            modified=reply["LastModified"],
            sha256=reply.get("Metadata", {}).get("sha256"),
        )

    def get(self, key: str, *, start: int = 0, length: int | None = None) -> bytes:
        # A range has one byte at least: an empty one is asked for as one byte, and cut.
        wanted = None if length is None else max(length, 1)
        try:
            with_errors = self._read(key)
            data = self._retrier.call(
                lambda: read_all(self._open_at(key)(start, wanted, None), with_errors)
            )
        except InputError as err:
            if "InvalidRange" in str(err):
                return b""  # starts after the end, as a file's read would say it
            raise
        return data if length is None else data[:length]

    def open(self, key: str) -> BinaryIO:
        raw = S3Reader(self._open_at(key), self._read(key), self._retrier)
        return cast(BinaryIO, io.BufferedReader(raw, BLOCK))

    def _open_at(self, key: str) -> OpenAt:
        name = self.full_key(key)

        def open_at(start: int, length: int | None, etag: str | None) -> Download:
            with self._errors("get", key):
                return self.sender.get_object(
                    name, self.key_parameters, start=start, length=length, etag=etag
                )

        return open_at

    def _read(self, key: str) -> Callable[[Download, int], bytes]:
        def read(reply: Download, size: int) -> bytes:
            with self._errors("get", key):
                return reply.read(size)

        return read

    def put(
        self, key: str, data: bytes, *, sha256: str | None = None, content_type: str | None = None
    ) -> ObjectInfo:
        return put_bytes(self, key, data, sha256, content_type)

    def put_file(
        self,
        key: str,
        path: Path,
        *,
        sha256: str | None = None,
        content_type: str | None = None,
        part_hashes: Sequence[str] = (),
        parts: PartLog | None = None,
    ) -> ObjectInfo:
        with local_translated(f"{self.uri(key)} (from {path})"), open(path, "rb") as source:
            return put_open_file(self, key, source, sha256, content_type, part_hashes, parts)

    def fetch_file(self, key: str, path: Path) -> None:
        raw = S3Reader(self._open_at(key), self._read(key), self._retrier)
        with raw, local_translated(f"{path} (from {self.uri(key)})"):
            sweep(path.parent)
            with replacing(path) as handle:
                if raw.size >= RANGED_BYTES:
                    raw.close()
                    fetch_ranges(
                        handle,
                        raw.size,
                        raw.etag,
                        open_at=self._open_at(key),
                        read=self._read(key),
                        retrier=self._retrier,
                        workers=self.part_workers,
                    )
                    return
                while block := raw.read(BLOCK):
                    handle.write(block)

    def delete(self, key: str) -> None:
        self.request("delete", key, lambda: self.named("delete_object", key))

    def list_versions(self, key: str) -> list[ObjectVersion]:
        """All versions of one key, oldest first, without hide markers; [] when it never was."""
        return list_versions(self, key)

    def get_version(self, key: str, version_id: str) -> bytes:
        """The bytes of one version of a key. Raises NotFound."""
        which = {"VersionId": version_id}
        data = self.request(
            "get", key, lambda: self.named("get_object", key, **which)["Body"].read()
        )
        return cast(bytes, data)

    @cached_property
    def part_workers(self) -> ThreadPoolExecutor:
        """Threads that carry parts and ranges, for all large files of this store together."""
        return ThreadPoolExecutor(_PARTS_AT_ONCE, thread_name_prefix="part")

    def write_parameters(self, sha256: str, content_type: str | None) -> dict[str, Any]:
        """What a new object is given beside its bytes."""
        protection = self.options.protection
        return {
            "Metadata": {"sha256": sha256},
            **({"ContentType": content_type} if content_type else {}),
            **lock_parameters(protection, datetime.now(UTC)),
            **encryption_parameters(protection),
            **self.key_parameters,
        }

    @cached_property
    def checks_sha256(self) -> bool:
        """Whether the server compares the signed sha256 with the bytes; asked once a store."""
        return server_checks_sha256(self)

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        return list_objects(self, prefix, start_after)

    def request(
        self,
        what: str,
        key: str,
        send: Callable[[], T],
        *,
        found: Callable[[], T | None] | None = None,
    ) -> T:
        """Run one request with our errors and retries; ``found`` as in ``Retrier.call``."""

        def attempt() -> T:
            with self._errors(what, key):
                return send()

        return self._retrier.call(attempt, found=found)

    def stored(self, key: str, size: int, sha256: str) -> ObjectInfo | None:
        """The object if it holds just these bytes: the answer when a reply was lost."""
        info = self.head(key)
        return info if info and (info.size, info.sha256) == (size, sha256) else None

    def named(self, operation: str, key: str, **arguments: Any) -> Any:
        if operation in ("head_object", "get_object"):
            arguments = {**self.key_parameters, **arguments}
        return getattr(self.client, operation)(
            Bucket=self.bucket, Key=self.full_key(key), **arguments
        )

    def _errors(self, what: str, key: str) -> Any:
        return translated(what, key=key, bucket=self.bucket, endpoint=self.endpoint)
