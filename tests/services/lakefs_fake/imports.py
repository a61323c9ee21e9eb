"""Imports: outside objects become entries, in one commit that is made in the background."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from services.lakefs_fake.blocks import Blocks
from services.lakefs_fake.errors import Invalid, Refused
from services.lakefs_fake.history import Commit
from services.lakefs_fake.repository import Repository
from services.lakefs_fake.tree import Entry


class Import:
    """One import; it runs until ``completed`` or ``error``."""

    def __init__(
        self, repository: Repository, branch: str, blocks: Blocks, wanted: Mapping[str, Any]
    ) -> None:
        self.id = uuid.uuid4().hex
        self.ingested = 0
        self.commit: Commit | None = None
        self.error: str | None = None
        self.updated = datetime.now(UTC)
        self._repository, self._branch, self._blocks = repository, branch, blocks
        self._wanted = wanted
        for source in wanted["paths"]:
            if source["type"] not in ("common_prefix", "object"):
                raise Invalid(f"import type {source['type']!r}")
            path, own = source["path"], repository.namespace
            if path.startswith(own) or (source["type"] == "common_prefix" and own.startswith(path)):
                raise Invalid(f"{path}: an import from the repository's own namespace {own}")
        repository.refs.branch(branch)
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        try:
            entries: dict[str, Entry] = {}
            for source in self._wanted["paths"]:
                self._ingest(source, entries)
            given = self._wanted["commit"]
            self.commit = self._repository.replace_under(
                self._branch,
                [source["destination"] for source in self._wanted["paths"]],
                entries,
                given.get("message") or "Import objects",
                given.get("metadata") or {},
            )
        except Refused as error:
            self.error = str(error)
        except Exception as error:  # nobody waits for this thread: its status tells
            self.error = f"{type(error).__name__}: {error}"
        self.updated = datetime.now(UTC)

    def _ingest(self, source: Mapping[str, str], entries: dict[str, Entry]) -> None:
        destination = source["destination"]
        single = source["type"] == "object"
        folder = destination if not destination or destination.endswith("/") else destination + "/"
        for found in self._blocks.walk(source["path"]):
            if single and found.address != source["path"]:
                continue
            path = destination if single else folder + found.name
            entries[path] = Entry(
                found.address,
                found.checksum,
                found.size,
                found.mtime,
                "application/octet-stream",
            )
            self.ingested += 1
