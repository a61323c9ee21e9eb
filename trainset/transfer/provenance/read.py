"""Finds the events of a few files among many, as rows of the newest schema."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from functools import partial, reduce
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from trainset.errors import InputError
from trainset.identity import row_id
from trainset.transfer.provenance.schema import RENAMED, SCHEMA, version_of

Part = Path | bytes

_NAMES = ("key", "source_uri", "sha256", "uri")  # what a file may be asked for by
_log = logging.getLogger(__name__)


def find_keys(part: Part, asked: Collection[str], *, endings: bool = False) -> set[str]:
    """Keys of the files that an event calls by one of the names.

    Args:
        asked: keys, source uris, sha256s or uris of the home.
        endings: take also files whose key or source uri ends with ``/<name>``.
    """
    with _opened(part) as file:
        if file is None:
            return set()
        found: set[str] = set()
        names = pa.array(sorted(asked), pa.string())
        for group in range(file.num_row_groups):
            columns = file.read_row_group(group, columns=list(_NAMES))
            masks = [_matches(columns[name], lambda c: pc.is_in(c, names)) for name in _NAMES]
            if endings:
                masks += [
                    _matches(columns[column], partial(pc.ends_with, pattern=f"/{name}"))
                    for name in asked
                    for column in ("key", "source_uri")
                ]
            rows = columns.filter(_any(masks))
            found |= set(rows["key"].cast(pa.string()).to_pylist())
        return found


def read_events(part: Part, keys: Collection[str]) -> Iterator[dict[str, Any]]:
    """The events of some keys, in the order of the chain; columns that the part lacks are None.

    A file that is no part that this version knows is passed over with a warning.
    """
    with _opened(part) as file:
        if file is None:
            return
        wanted = pa.array(sorted(keys), pa.string())
        for group in range(file.num_row_groups):
            column = file.read_row_group(group, columns=["key"])["key"]
            mask = _matches(column, lambda c: pc.is_in(c, wanted))
            if not pc.any(mask).as_py():
                continue
            for row in file.read_row_group(group).filter(mask).to_pylist():
                yield _newest(row)


@contextmanager
def _opened(part: Part) -> Iterator[pq.ParquetFile | None]:
    """The part with names as dictionaries, which makes looking for one of them cheap."""
    source = part if isinstance(part, Path) else pa.BufferReader(part)
    try:
        metadata = pq.read_metadata(source)
        if version_of(metadata.schema.to_arrow_schema()) is None:
            name = part if isinstance(part, Path) else "a part"
            _log.warning("%s: no version up to this one writes such provenance; passed over", name)
            yield None
            return
        with pq.ParquetFile(source, metadata=metadata, read_dictionary=list(_NAMES)) as file:
            yield file
    except (pa.ArrowException, OSError) as err:
        raise InputError(
            f"provenance {part if isinstance(part, Path) else 'part'} cannot be read ({err}); "
            "compare it with a copy (SHA256SUMS)"
        ) from err


def _matches(column: pa.ChunkedArray, test: Callable[[pa.Array], pa.Array]) -> pa.Array:
    """The rows whose value passes the test, which is asked once a distinct value."""
    masks = []
    for chunk in column.chunks:
        passed = test(chunk.dictionary)
        masks.append(pc.fill_null(passed.take(chunk.indices), False))
    return pa.chunked_array(masks, pa.bool_()).combine_chunks()


def _any(masks: Iterable[pa.Array]) -> pa.Array:
    return reduce(pc.or_, masks)


def _newest(row: dict[str, Any]) -> dict[str, Any]:
    """A row of any schema as one of the newest."""
    said = {RENAMED.get(name, name): value for name, value in row.items()}
    said.setdefault("event_id", f"{row['run_id']}-{row['seq']}")
    said.setdefault("file_id", row_id(row["key"]))
    learned = said.get("attributes_changed")
    said["attributes_changed"] = None if learned is None else dict(learned)
    return {name: said.get(name) for name in SCHEMA.names}
