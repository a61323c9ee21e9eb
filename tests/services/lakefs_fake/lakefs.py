"""The server's state: its repositories, its block store, the keys of its only user."""

from __future__ import annotations

import hashlib
import hmac
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

from services.lakefs_fake.blocks import Blocks
from services.lakefs_fake.errors import BytesGone, Invalid, NotFound, Taken
from services.lakefs_fake.imports import Import
from services.lakefs_fake.repository import Repository
from services.lakefs_fake.tree import Entry

VERSION = "1.84.0"  # of the server whose behaviour this fake was compared with
_SIGNING = uuid.uuid4().bytes


@dataclass
class Upload:
    """A multipart upload of the gateway; its parts wait in memory."""

    content_type: str
    metadata: dict[str, str]
    parts: dict[int, bytes] = field(default_factory=dict)


class LakeFS:
    """Everything that a server knows; nothing of it outlives the process but the bytes."""

    def __init__(self, blocks: Blocks, key_id: str, secret: str) -> None:
        self.blocks, self.key_id, self.secret = blocks, key_id, secret
        self.repositories: dict[str, Repository] = {}
        self.imports: dict[str, Import] = {}
        self.uploads: dict[str, Upload] = {}
        self._lock = threading.Lock()

    def repository(self, name: str) -> Repository:
        found = self.repositories.get(name)
        if found is None:
            raise NotFound(f"repository {name!r} not found")
        return found

    def create_repository(self, wanted: Mapping[str, str]) -> Repository:
        """A namespace is marked as used in the block store, so it stays used for ever."""
        namespace = wanted["storage_namespace"]
        if not namespace.startswith(f"{self.blocks.kind}://"):
            raise Invalid(f"storage namespace {namespace}: the block store is {self.blocks.kind}")
        made = Repository(wanted["name"], namespace, wanted.get("default_branch") or "main")
        marker = f"{namespace.rstrip('/')}/_lakefs/dummy"
        with self._lock:
            if made.name in self.repositories:
                raise Taken(f"repository {made.name!r}: not unique")
            try:
                self.blocks.get(marker)
            except BytesGone:
                self.blocks.put(marker, b"written by the lakeFS fake: this namespace is in use")
            else:
                raise Invalid(f"storage namespace {namespace} is already in use")
            self.repositories[made.name] = made
        return made

    def delete_repository(self, name: str) -> None:
        with self._lock:
            self.repository(name)
            del self.repositories[name]

    # -- bytes

    def store(
        self,
        repository: Repository,
        data: bytes,
        content_type: str,
        metadata: Mapping[str, str],
        checksum: str = "",
    ) -> Entry:
        """Write bytes to a new address in the repository's namespace."""
        address = self._new_address(repository)
        self.blocks.put(address, data)
        checksum = checksum or hashlib.md5(data).hexdigest()
        kind = content_type or "application/octet-stream"
        return Entry(address, checksum, len(data), int(time.time()), kind, metadata)

    def _new_address(self, repository: Repository) -> str:
        return f"{repository.namespace.rstrip('/')}/data/{uuid.uuid4().hex}/{uuid.uuid4().hex}"

    def signed_address(self, repository: Repository, branch: str, path: str) -> str:
        """An address in the namespace that ``check_link`` takes, for this path only."""
        address = self._new_address(repository)
        return f"{address},{self._signature(repository, branch, path, address)}"

    def check_link(self, repository: Repository, branch: str, path: str, address: str) -> None:
        """Raises Invalid for an address in the namespace that this server did not give out."""
        if not address.startswith(f"{repository.namespace.rstrip('/')}/data/"):
            return
        plain, _, signature = address.rpartition(",")
        if signature != self._signature(repository, branch, path, plain):
            raise Invalid("link address invalid: it lies in the repository's namespace, unsigned")

    def _signature(self, repository: Repository, branch: str, path: str, address: str) -> str:
        text = "\0".join((repository.name, branch, path, address))
        return hmac.new(_SIGNING, text.encode(), "sha256").hexdigest()
