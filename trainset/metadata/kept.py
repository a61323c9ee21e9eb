"""What stays of a stream of many files when some of them are read again."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from trainset.metadata.base import Rejected
from trainset.metadata.records import RECORDS
from trainset.metadata.store import CommitFiles, folder_of, load_rejected, read_manifest

_OWN_PART = "#[^#]*$"  # of a record's id: what follows its file


def kept_records(
    files: CommitFiles, source: str, stream: str, replaced: Collection[str]
) -> Iterator[pa.Table]:
    """The stream's current records, less those of the files replaced; some at a time."""
    manifest = read_manifest(files, source, stream)
    names = pa.array(sorted(replaced), pa.string())
    for part in manifest.files if manifest else ():
        path = files.fetch(folder_of(source, stream) + part.path)
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches():
                table = pa.Table.from_batches([batch]).cast(RECORDS)
                owner = pc.replace_substring_regex(table["record_id"], _OWN_PART, "")
                yield table.filter(pc.invert(pc.is_in(owner, value_set=names)))


def kept_rejected(
    files: CommitFiles, source: str, stream: str, replaced: Collection[str]
) -> list[Rejected]:
    """What is in quarantine now, less that of the files replaced."""
    gone = set(replaced)
    return [item for item in load_rejected(files, source, stream) if gone.isdisjoint(_owners(item))]


def _owners(item: Rejected) -> Iterator[str]:
    """What stands before each space of ``<file> line 3``: one of them is the file."""
    words = item.record.split(" ")
    return (" ".join(words[:n]) for n in range(1, len(words) + 1))
