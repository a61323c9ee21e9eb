"""Writing what a sync decided: parts, quarantine, state, and the manifest that makes them true."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from trainset.metadata.base import Rejected, State
from trainset.metadata.parts import ParquetPart
from trainset.metadata.records import QUARANTINE
from trainset.metadata.store import MANIFEST, STATE, DataFile, Manifest, encode
from trainset.metadata.tables.parts import LocalPart, PartWriter, has_types
from trainset.metadata.tables.upsert import Mask
from trainset.versions.base import Workspace

MANY_PARTS, SMALL_PART = 32, 25_000  # with so many parts, those below so many rows are joined


class StreamWriter:
    """Puts files of one stream into a workspace.

    Args:
        stream: its folder in the workspace, with a slash at its end.
        scratch: local folder for parts that are written anew.
    """

    def __init__(self, workspace: Workspace, stream: str, scratch: Path, sync_id: str) -> None:
        self._workspace, self._stream, self._scratch = workspace, stream, scratch
        self._sync_id = sync_id
        self._present = set(workspace.list(stream))

    def put_rows(
        self, parts: Sequence[tuple[LocalPart, Mask]], schema: pa.Schema, *, ordered: bool
    ) -> tuple[DataFile, ...]:
        """The rows that the masks say: parts of which all stay as they are, the others anew.

        Args:
            ordered: a history, whose parts stay in their order.
        """
        writer = PartWriter(self._scratch, schema, f"part-{self._sync_id}-r")
        compact = len(parts) > MANY_PARTS and not ordered
        files: list[DataFile] = []
        for part, mask in parts:
            small = compact and part.file.rows < SMALL_PART
            if mask.all() and not small and has_types(part.path, schema):
                self._put(part)
                files.append(part.file)
                continue
            before = len(writer.parts)
            writer.add_part(part.path, mask)
            if ordered:
                writer.flush()
                files += [made.file for made in writer.parts[before:]]
        writer.flush()
        for made in writer.parts:
            self._put(made)
        return tuple(files if ordered else [*files, *(made.file for made in writer.parts)])

    def put_quarantine(self, rejected: Sequence[Rejected]) -> tuple[DataFile, ...]:
        part = ParquetPart(self._scratch / "quarantine.parquet", QUARANTINE)
        part.add(pa.Table.from_pylist([r.model_dump() for r in rejected], QUARANTINE))
        files = part.close(f"_quarantine/{self._sync_id}")
        for local in map(LocalPart, part.made, files):
            self._put(local)
        return files

    def put_state(self, state: State) -> None:
        self._workspace.write(self._stream + STATE, encode(dict(state)))

    def put_manifest(self, manifest: Manifest) -> None:
        """Write the manifest, and then remove what it does not name."""
        self._workspace.write(self._stream + MANIFEST, manifest.encode())
        named = {file.path for file in manifest.files + manifest.quarantine} | {MANIFEST, STATE}
        for path in self._present - {self._stream + name for name in named}:
            self._workspace.remove(path)

    def _put(self, part: LocalPart) -> None:
        path = self._stream + part.file.path
        if path not in self._present:  # there: of the base, or a killed try of this sync wrote it
            self._workspace.put_file(path, part.path)
            self._present.add(path)
