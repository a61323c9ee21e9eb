"""Readers of label formats, one a file; ``registry`` names them, ``read_labels`` reads a place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


def read_labels(path: str | Path, format: str | None = None) -> pa.Table:
    """The label records of one file or folder.

    Args:
        path: a file, a folder, or a bucket's uri.
        format: a name in ``recognise.READ``; None: recognised by content.
    Returns:
        Rows in the schema ``metadata.records.RECORDS``, streams in the order of their files. What
        could not be used is in the schema's metadata under ``rejected``: a JSON list with the
        reason and the original of each.
    Raises:
        InputError: nothing there is in a known format (lists the formats), or a file that should
            be cannot be read.
        NotFound: there is no such place.
    """
    import pyarrow as pa

    from trainset.errors import InputError
    from trainset.metadata.places import open_file_reader
    from trainset.metadata.recognise import READ, SUPPORTED
    from trainset.metadata.records import RECORDS

    if format is not None and format not in READ:
        raise InputError(f"{format!r} is no label format; trainset reads {', '.join(READ)}")
    reader = open_file_reader("labels", str(path), format_=format)
    reader.check()
    streams = reader.discover()
    tables = [RECORDS.empty_table()]
    aside: list[dict[str, str]] = []
    readable = [stream for stream in streams if stream.unread is None]
    if not readable:
        why = "; ".join(stream.unread or "" for stream in streams) or "no files that may be labels"
        raise InputError(
            f"{path}: {why}; trainset reads {SUPPORTED}; say 'format', or mend the path"
        )
    for stream in streams:
        if stream.unread is not None:
            aside.append({"stream": stream.name, "kind": "unknown", "reason": stream.unread})
            continue
        for batch in reader.read(stream.name, {}):
            tables.append(batch.records)
            aside += [item.model_dump() for item in batch.rejected]
    return pa.concat_tables(tables).replace_schema_metadata({"rejected": json.dumps(aside)})
