"""``media_labels_status``: what each source says of each medium's labels; made from the labels.

One row for each medium and each source with records of it: ``labelled``, ``labelled_empty``
(someone looked, nothing is there), ``skipped`` (someone declined to label it) or ``unlabelled``
(the source names it, and says nothing: a task that nobody did, a model's guess). A medium that no
source names has one row, ``unlabelled`` without a source. No row says "this source has not heard of
it": the table grows with media and records, not with media times sources.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from trainset.identity import row_fingerprint
from trainset.tables.annotations import replace_rows
from trainset.tables.base import Table, TableLocation, TableStore
from trainset.tables.schema import LABELS_STATUS, LABELS_STATUS_FINGERPRINT

STATUS = "media_labels_status"
STATES = ("labelled", "labelled_empty", "skipped", "unlabelled")  # the first that fits, counts
EMPTY, SKIPPED = "empty", "skipped"
SILENT = ("prediction", "record")  # kinds that say nothing about labels
NO_LABELS = (EMPTY, SKIPPED, *SILENT)  # every other kind is a label
ANNOTATION_COLUMNS = ["media_id", "source", "kind"]
MEDIA_COLUMNS = ["row_id", "key"]

Codes = npt.NDArray[np.int64]


def rank_kinds(kinds: pa.ChunkedArray) -> Codes:
    """(N,) position in ``STATES`` of what each record says."""
    array = kinds.combine_chunks() if isinstance(kinds, pa.ChunkedArray) else kinds
    coded = array.dictionary_encode("encode")
    ranks: dict[str | None, int] = {EMPTY: 1, SKIPPED: 2, **dict.fromkeys(SILENT, 3), None: 3}
    of_kind = np.array([ranks.get(kind, 0) for kind in coded.dictionary.to_pylist()], np.int64)
    return of_kind[coded.indices.to_numpy()] if len(array) else np.zeros(0, np.int64)


def label_states(annotations: pa.Table, media: pa.Table) -> pa.Table:
    """All rows of ``media_labels_status``, media in the order of ``media``.

    Args:
        annotations: at least ``ANNOTATION_COLUMNS``; records without a medium do not count.
        media: at least ``MEDIA_COLUMNS``.
    """
    ids = media["row_id"].combine_chunks()
    found = pc.index_in(annotations["media_id"], value_set=ids, skip_nulls=True)
    at = pc.fill_null(found.cast(pa.int64()), -1).to_numpy()
    known = np.flatnonzero(at >= 0)
    sources = annotations["source"].take(pa.array(known)).combine_chunks().dictionary_encode()
    names = sources.dictionary.to_pylist()
    order = np.argsort(np.argsort(np.array(names, object))) if names else np.zeros(0, np.int64)
    pairs = at[known] * max(len(names), 1) + order[sources.indices.to_numpy()]
    asked, of_pair = np.unique(pairs, return_inverse=True)
    best = np.full(len(asked), len(STATES) - 1)
    ranks = rank_kinds(annotations["kind"].take(pa.array(known)))
    for rank in reversed(range(len(STATES))):
        best[of_pair[ranks == rank]] = rank
    medium, source = np.divmod(asked, max(len(names), 1))
    unnamed = np.ones(len(media), bool)
    unnamed[medium] = False
    rest = np.flatnonzero(unnamed)
    return _rows(
        media,
        np.concatenate([medium, rest]),
        pa.array(sorted(names), pa.string()).take(
            pa.array(
                np.concatenate([source, np.zeros(len(rest), np.int64)]),
                mask=np.arange(len(asked) + len(rest)) >= len(asked),
            )
        ),
        np.concatenate([best, np.full(len(rest), len(STATES) - 1)]),
    )


def put_label_states(
    store: TableStore, location: TableLocation, annotations: pa.Table, media: pa.Table
) -> None:
    """Make the table at ``location`` what the labels say; rows that are right stay untouched."""
    there = store.exists(location)
    table = store.open(location) if there else store.create(location, LABELS_STATUS)
    replace_rows(table, label_states(annotations, media))


def read_label_states(annotations: Table, media: Table) -> tuple[pa.Table, pa.Table]:
    """What ``put_label_states`` needs of the two tables."""
    return (
        annotations.scan(ANNOTATION_COLUMNS).read_all(),
        media.scan(MEDIA_COLUMNS).read_all(),
    )


def _rows(media: pa.Table, medium: Codes, source: pa.Array, rank: Codes) -> pa.Table:
    order = np.argsort(medium, kind="stable")
    taken = pa.array(medium[order])
    source, rank = source.take(pa.array(order)), rank[order]
    media_id = media["row_id"].take(taken).combine_chunks().cast(pa.string())
    prints = [row_fingerprint({"state": s}, LABELS_STATUS_FINGERPRINT) for s in STATES]
    columns = {
        "row_id": pc.binary_join_element_wise(media_id, pc.fill_null(source, ""), "/"),
        "media_id": media_id,
        "media_key": media["key"].take(taken),
        "source": source,
        "state": pa.array(STATES).take(pa.array(rank)),
        "row_fp": pa.array(prints, pa.uint64()).take(pa.array(rank)),
    }
    return pa.table({name: columns[name] for name in LABELS_STATUS.names}).cast(LABELS_STATUS)
