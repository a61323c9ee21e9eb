"""What label records say of their media, each different saying looked up once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trainset.metadata.align.climb import resolve
from trainset.metadata.align.found import Found
from trainset.metadata.align.ladder_columns import MediaColumns
from trainset.metadata.align.name_columns import Ints, column
from trainset.metadata.align.rematch import Stream
from trainset.spec import MatchMethod

ASKED = ["source", "stream", "media_ref", "attributes"]  # what the ladder reads of records
# A column that holds the digest, whatever table it came from: sha256, image_sha256, file.sha256 …
_DIGEST = r'"[A-Za-z0-9_.-]*sha256"\s*:\s*"(?P<digest>[0-9a-fA-F]{64})"'


def index_media(media: pa.Table) -> MediaColumns:
    """Media by what records may call them; by name at once, which every climb asks for."""
    index = MediaColumns(media["key"], media["source_uri"], media["sha256"])
    _ = index.by_name, index.renamed
    return index


def climb_references(
    records: pa.Table,
    media: Future[MediaColumns],
    methods: Sequence[MatchMethod],
    label_uris: Mapping[Stream, str],
) -> tuple[Found, Ints]:
    """What each different (label file, reference, digest) means, and which is whose.

    A medium with twenty boxes is looked up once.
    """
    refs = _Codes(column(records["media_ref"]))
    files, label_of = _label_files(records, label_uris)
    digests = _digests(records) if "sha256" in methods else None
    queries, first = refs.codes, None  # which is whose, and who has it first; None: as in ``refs``
    if files or digests is not None:
        parts = [refs.codes, label_of]
        if digests is not None:
            parts.append(_Codes(digests).codes)
        queries, first = _combined(parts)
    if first is None:
        return resolve(media.result(), refs.values, methods), queries
    found = resolve(
        media.result(),
        refs.values.take(pa.array(refs.codes[first])),
        methods,
        label_uris=files,
        label_of=label_of[first],
        digests=None if digests is None else digests.take(pa.array(first)),
    )
    return found, queries


def _combined(parts: Sequence[Ints]) -> tuple[Ints, Ints]:
    """(N,) one number for each different combination (from -1 up), and (Q,) who has it first."""
    codes = np.zeros(len(parts[0]), np.int64)
    for part in parts:
        # Made dense again after each column: products of sizes would overflow.
        codes = _Codes(pa.array(codes * (int(part.max(initial=0)) + 2) + part + 1)).codes
    first = np.full(int(codes.max(initial=-1)) + 1, -1, np.int64)
    first[codes[::-1]] = np.arange(len(codes))[::-1]
    return codes, first


class _Codes:
    """A column as numbers, and the values they stand for."""

    def __init__(self, values: pa.Array) -> None:
        encoded = values.dictionary_encode()
        self.values = encoded.dictionary
        self.codes: Ints = encoded.indices.to_numpy().astype(np.int64)


def _label_files(records: pa.Table, label_uris: Mapping[Stream, str]) -> tuple[list[str], Ints]:
    """Label files, and which holds each record (-1: not known)."""
    if not label_uris:
        return [], np.full(len(records), -1, np.int64)
    sources, streams = (_Codes(column(records[n])) for n in ("source", "stream"))
    pairs = _Codes(pa.array(sources.codes * len(streams.values) + streams.codes))
    files: dict[str, int] = {}
    numbers = []
    for pair in pairs.values.to_pylist():
        source, stream = divmod(pair, len(streams.values))
        uri = label_uris.get((sources.values[source].as_py(), streams.values[stream].as_py()))
        numbers.append(files.setdefault(uri, len(files)) if uri else -1)
    return list(files), np.array(numbers, np.int64)[pairs.codes]


def _digests(records: pa.Table) -> pa.LargeStringArray | None:
    """The digest that each record says, else an empty text; None: none says one."""
    if not pc.any(pc.match_substring(records["attributes"], 'sha256"')).as_py():
        return None
    found = pc.extract_regex(records["attributes"], _DIGEST)
    return column(pc.struct_field(found, "digest"))
