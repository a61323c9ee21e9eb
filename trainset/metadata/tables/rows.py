"""The rows of a synced table, out of any commit."""

from __future__ import annotations

import pyarrow as pa

from trainset.errors import NotFound
from trainset.metadata.store import CommitFiles, folder_of, read_manifest
from trainset.metadata.tables.parts import read_rows, with_system


def load_rows(files: CommitFiles, source: str, stream: str) -> pa.Table:
    """All rows in the columns of the source, then ``_sync_id, _extracted_at, _row_hash, _meta``.

    Args:
        files: a workspace or a snapshot.
        stream: the table's name, with what no path takes percent-encoded.
    Raises:
        NotFound: the commit holds no such table.
    """
    manifest = read_manifest(files, source, stream)
    if manifest is None or manifest.table is None:
        raise NotFound(
            f"this commit holds no table {stream!r} of {source!r}; see `metadata:` in its spec"
        )
    schema, folder = with_system(manifest.table.columns), folder_of(source, stream)
    parts = [r for f in manifest.files for r in read_rows(files.fetch(folder + f.path), schema)]
    return pa.concat_tables([schema.empty_table(), *parts])
