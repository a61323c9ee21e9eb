"""Which rows of the media table an export takes, in which order, with which labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from trainset.errors import NotFound, SpecError
from trainset.export.fields import ANNOTATION, Field, misfit, needed_columns, plan_fields
from trainset.export.split import SHARD_ORDER, assign_splits, order_of
from trainset.model import LeftOut
from trainset.spec import ExportSpec
from trainset.tables.label_states import NO_LABELS

if TYPE_CHECKING:
    from trainset.dataset import Dataset

FACTS = ("row_id", "key", "uri", "version_id", "sha256", "size", "mime", "modality", "unreadable")
MAX_MEDIA_BYTES = {
    "webdataset": 8 * 2**30 - 1,  # what a USTAR header can say
    "huggingface": 2**31 - 2**20,  # what one Arrow binary array can hold
}
_BATCH = 1024  # rows turned into Python values at a time


class Labels:
    """Annotations by medium, each medium's in the order (source, stream, record id)."""

    def __init__(self, table: pa.Table) -> None:
        order = [(name, "ascending") for name in ("media_id", "source", "stream", "record_id")]
        self._table = table.sort_by(order).combine_chunks()
        self._span: dict[str, tuple[int, int]] = {}
        start = 0
        for i, media_id in enumerate(self._table["media_id"].to_pylist()):
            start = self._span.get(media_id, (i, 0))[0]
            self._span[media_id] = (start, i + 1 - start)

    def of(self, row_id: str) -> list[dict[str, Any]]:
        """All labels of one medium as dicts with the fields of ``ANNOTATION``."""
        start, length = self._span.get(row_id, (0, 0))
        rows: list[dict[str, Any]] = self._table.slice(start, length).to_pylist()
        for row in rows:
            del row["media_id"]
        return rows


@dataclass(frozen=True)
class Item:
    """One sample before its bytes are read."""

    row: Mapping[str, Any]  # of the media table, with ``split``
    fields: dict[str, Any]
    classes: frozenset[str]  # of its labels


@dataclass(frozen=True)
class Selection:
    """The samples of one export before their bytes are read.

    Attributes:
        rows: facts and field columns, with ``split``; split by split, shuffled by the seed inside.
        unreadable: broken files that ``where`` would take; they were reported when they came in.
    """

    rows: pa.Table = field(repr=False)
    fields: list[Field]
    labels: Labels = field(repr=False)
    left_out: list[LeftOut]
    unreadable: int

    @property
    def counts(self) -> dict[str, int]:
        """Samples per split, in shard order."""
        found = Counter(self.rows["split"].to_pylist())
        return {name: found[name] for name in SHARD_ORDER if found[name]}

    @property
    def bytes(self) -> int:
        """Size of all media."""
        return int(pc.sum(self.rows["size"]).as_py() or 0)

    @property
    def images(self) -> bool:
        return set(self.rows["modality"].to_pylist()) == {"image"}

    @property
    def functions(self) -> dict[str, list[str]]:
        """``fn_id``s behind each exported computed column: more than one where some are stale."""
        names = [n for n in self.rows.column_names if n.endswith("__fn")]
        return {
            n.removesuffix("__fn"): sorted(set(self.rows[n].to_pylist()) - {None}) for n in names
        }

    def __iter__(self) -> Iterator[Item]:
        """Every sample, in order."""
        for batch in self.rows.to_batches(max_chunksize=_BATCH):
            for row in batch.to_pylist():
                labels = self.labels.of(row["row_id"])
                yield Item(
                    row=row,
                    fields={f.name: f.value(row, labels) for f in self.fields if f.kind != "media"},
                    classes=frozenset(label["class"] for label in labels) - {None},
                )


def select_samples(dataset: Dataset, spec: ExportSpec) -> Selection:
    """Read the rows of an export at the dataset's commit; no media bytes are read.

    Raises:
        SpecError: ``where``, ``fields`` or ``split.by`` name what is not there.
    """
    view = dataset.table("media")
    schema = view.schema
    fields = plan_fields(spec, schema)
    by = spec.split.by
    if by != "source" and by not in schema.names:
        raise SpecError(
            f"exports.split.by: the media table has no column {by!r}; take source or one of "
            f"{', '.join(n for n in schema.names if '__' not in n)}"
        )
    wanted = [*FACTS, *needed_columns(fields), *([] if by == "source" else [by])]
    wanted += [f"{n}__fn" for n in wanted if f"{n}__fn" in schema.names]
    if spec.where:
        view = view.where(spec.where)
    rows = view.select(list(dict.fromkeys(wanted))).to_arrow()
    readable = pc.is_null(rows["unreadable"])
    unreadable = rows.num_rows - int(pc.sum(readable).as_py() or 0)
    rows, left_out = _place(rows.filter(readable), fields, spec)
    return Selection(rows, fields, _labels(dataset), left_out, unreadable)


def _place(
    rows: pa.Table, fields: Sequence[Field], spec: ExportSpec
) -> tuple[pa.Table, list[LeftOut]]:
    """Rows with their ``split``, in export order, and what cannot be a sample."""
    rows, left_out = _fitting(rows, fields, spec)
    keys, by = rows["key"].to_pylist(), spec.split.by
    groups = [k.split("/", 1)[0] for k in keys] if by == "source" else rows[by].to_pylist()
    contents = [sha or uri for sha, uri in _tuples(rows, "sha256", "uri")]
    splits, straddling = assign_splits(keys, contents, groups, spec.split)
    order = sorted(
        (i for i, split in enumerate(splits) if split is not None),
        key=lambda i: (SHARD_ORDER.index(str(splits[i])), order_of(keys[i], spec.split), keys[i]),
    )
    placed = rows.append_column("split", pa.array(splits, pa.string()))
    return placed.take(pa.array(order, pa.int64())), left_out + straddling


def _fitting(
    rows: pa.Table, fields: Sequence[Field], spec: ExportSpec
) -> tuple[pa.Table, list[LeftOut]]:
    """Rows whose medium fits the name of the media field, and the format."""
    name = next((f.name for f in fields if f.kind == "media"), None)
    if name is None:
        return rows, []
    left_out, fits = [], []
    limit = MAX_MEDIA_BYTES[spec.format]
    for key, modality, size in _tuples(rows, "key", "modality", "size"):
        if (reason := misfit(name, modality)) is not None:
            left_out.append(LeftOut(key=key, stage="export", kind="wrong-field", reason=reason))
        elif (size or 0) > limit:
            reason = (
                f"{size} bytes; a {spec.format} sample holds up to {limit}; exclude it by where"
            )
            left_out.append(LeftOut(key=key, stage="export", kind="too-large", reason=reason))
        fits.append(reason is None and (size or 0) <= limit)
    return rows.filter(pa.array(fits, pa.bool_())), left_out


def _labels(dataset: Dataset) -> Labels:
    names = ["media_id", *(ANNOTATION.field(i).name for i in range(ANNOTATION.num_fields))]
    try:
        view = dataset.table("annotations")
    except NotFound:  # a dataset without labels
        return Labels(pa.schema([(n, pa.string()) for n in names]).empty_table())
    # A guess, "nothing is there" and "not done" are no labels; what a plain record holds may be.
    hidden = ", ".join(f"'{kind}'" for kind in NO_LABELS if kind != "record")
    asked = view.where(f"media_id IS NOT NULL AND (kind IS NULL OR kind NOT IN ({hidden}))")
    return Labels(asked.select(names).to_arrow())


def _tuples(rows: pa.Table, *names: str) -> Iterator[tuple[Any, ...]]:
    return zip(*(rows[n].to_pylist() for n in names), strict=True)
