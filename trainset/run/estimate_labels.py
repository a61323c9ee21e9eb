"""Which labels of a dry run meet which files, by names alone."""

from __future__ import annotations

import pyarrow as pa

from trainset.errors import NotFound
from trainset.identity import row_id
from trainset.metadata import open_reader
from trainset.metadata.align import align_annotations
from trainset.metadata.names import EXTENSIONS, extension
from trainset.metadata.records import RECORDS
from trainset.model import Credentials
from trainset.spec import DatasetSpec
from trainset.transfer.base import SourceFile

LABELLED_FILES = 1_000_000  # above, labels are not matched in a dry run: names would fill memory
_CHUNK = 10_000


class ListedNames:
    """What label matching asks of the listing: about 0.3 KB a file, and no more than ``limit``."""

    def __init__(self, limit: int) -> None:
        self.limit, self.over = limit, False
        self._parts: list[pa.Table] = []
        self._rows: list[tuple[str, str, str]] = []

    def add(self, file: SourceFile) -> None:
        if self.limit == 0 or self.over:
            return
        self._rows.append((file.key, file.uri, modality_of(file)))
        if len(self._rows) == _CHUNK:
            self._pack()
            self.over = len(self._parts) * _CHUNK > self.limit

    def table(self) -> pa.Table:
        """Columns of ``media`` that are known before a file is read."""
        self._pack()
        return pa.concat_tables(self._parts)

    def _pack(self) -> None:
        rows, self._rows = self._rows, []
        self._parts.append(
            pa.table(
                {
                    "row_id": pa.array([row_id(key) for key, _, _ in rows], pa.string()),
                    "key": pa.array([key for key, _, _ in rows], pa.string()),
                    "source_uri": pa.array([uri for _, uri, _ in rows], pa.string()),
                    "sha256": pa.nulls(len(rows), pa.string()),
                    "width": pa.nulls(len(rows), pa.int32()),
                    "height": pa.nulls(len(rows), pa.int32()),
                    "modality": pa.array([kind for _, _, kind in rows], pa.string()),
                }
            )
        )


def modality_of(file: SourceFile) -> str:
    """By its name: no file is read."""
    return EXTENSIONS.get(extension(file.path), "other")


def match_labels(
    spec: DatasetSpec, names: ListedNames, credentials: Credentials | None
) -> tuple[int, int, list[str]]:
    """Records, matches by name, and what could not be read."""
    if names.over:
        return 0, 0, [f"above {names.limit:,} files a dry run does not look at labels"]
    tables, uris, faults = [RECORDS.empty_table()], {}, []
    for source in spec.metadata:
        if source.is_tables:
            continue  # their rows are not read, so which of them match is not known
        reader = open_reader(source, credentials)
        try:
            for stream in reader.discover():
                uris[source.name, stream.name] = stream.uri or ""
                tables += [batch.records for batch in reader.read(stream.name, {})]
        except (NotFound, ValueError) as err:
            faults.append(str(err))
    records = pa.concat_tables([t.cast(RECORDS) for t in tables])
    report = align_annotations(records, names.table(), spec.align, label_uris=uris).report
    return report.records, report.matched_records, faults
