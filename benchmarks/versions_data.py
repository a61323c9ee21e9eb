"""A home for the merge benchmark: a base commit, a run that main took in, a run that comes late."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.feather as feather
from numpy.typing import NDArray

from trainset.home import Home, open_home
from trainset.identity import row_fingerprint
from trainset.tables.lance_store import LanceTable, LanceTableStore
from trainset.tables.schema import MEDIA, MEDIA_FINGERPRINT, computed_fields
from trainset.versions.base import Workspace

CHANGED, NEW, REMOVED = 0.01, 0.009, 0.001  # shares of the rows that one side touches: 2 %
_BOTH = 0.0001  # share of the rows of which both sides change a column each
_DIMENSIONS = 64  # of the computed column, float16
_WHEN = datetime(2026, 11, 1, tzinfo=UTC)
SCHEMA = pa.schema([*MEDIA, *computed_fields("clip", pa.list_(pa.float16(), _DIMENSIONS))])

Numbers = NDArray[np.int64]


class Edits(NamedTuple):
    """What one side does: the column that it changes, which rows, which it removes."""

    column: str
    changed: Numbers
    removed: Numbers


def make_home(folder: str, rows: int) -> None:
    """Make the home at ``folder`` and, beside it, ``<folder>.arrow``: all rows after the merge.

    Main holds the run ``ours``; the run ``theirs``, from the same base, is not committed yet. Every
    home of one size is the same.
    """
    rng = np.random.default_rng(6)
    base = make_rows(rng, rows)
    picked = rng.permutation(rows)
    one, gone, both = (int(rows * share) for share in (CHANGED, REMOVED, _BOTH))
    first, second = picked[: one - both], picked[one : 2 * one - both]
    shared, rest = picked[2 * one : 2 * one + both], picked[2 * one + both :]
    ours = Edits("width", np.concatenate([first, shared]), rest[:gone])
    theirs = Edits("height", np.concatenate([second, shared]), rest[gone : 2 * gone])
    new = [make_rows(rng, int(rows * NEW)) for _ in range(2)]

    home = open_home(folder, create=True)
    workspace = home.versions.begin("base")
    LanceTableStore().create(workspace.table("media"), SCHEMA).upsert(base)
    workspace.commit("base", {})
    workspace.merge()
    late = home.versions.begin("theirs")
    _edit(late, base, theirs, new[1])
    early = home.versions.begin("ours")
    _edit(early, base, ours, new[0])
    early.commit("ours", {})
    early.merge()

    expected = _apply(_apply(base, ours), theirs)
    stays = np.ones(rows, dtype=bool)
    stays[np.concatenate([ours.removed, theirs.removed])] = False
    merged = pa.concat_tables([expected.filter(pa.array(stays)), *new]).sort_by("row_id")
    feather.write_feather(merged, f"{folder}.arrow", compression="uncompressed")


def read_media(home: Home, side: str) -> LanceTable:
    """Table ``media`` of a side: ``base``, ``ours`` (main) or ``theirs``."""
    store, versions = LanceTableStore(), home.versions
    if side == "theirs":
        return store.open(versions.begin("theirs").table("media"))
    first, *_, main = [*versions.log()][::-1]
    return store.open(versions.snapshot((main if side == "ours" else first).id).table("media"))


def check_merged(folder: str, expected_rows: str) -> None:
    """Raise unless main holds just the rows of the file ``expected_rows``."""
    expected = feather.read_table(expected_rows)
    found = read_media(open_home(folder), "ours").scan(expected.column_names).read_all()
    found = found.sort_by("row_id")
    assert found["row_id"].equals(expected["row_id"]), "rows were lost or came back"
    for name in expected.column_names:
        assert found[name].cast(expected[name].type).equals(expected[name]), name


def make_rows(rng: np.random.Generator, count: int) -> pa.Table:
    """Media rows with a computed column; fingerprints are made up, but no two are the same."""
    names = _hex(rng, count, 16)
    digests = _hex(rng, count, 32)
    cell = rng.standard_normal(count * _DIMENSIONS, dtype=np.float32).astype(np.float16)
    columns: dict[str, Any] = {
        "row_id": names,
        "key": pc.binary_join_element_wise("cameras/", names, ".jpg", ""),
        "uri": pc.binary_join_element_wise("media/", digests, ""),
        "sha256": digests,
        "size": rng.integers(10**5, 10**7, count),
        "mime": _same("image/jpeg", count),
        "modality": _same("image", count),
        "width": np.full(count, 1920, np.int32),
        "height": np.full(count, 1080, np.int32),
        "source_uri": pc.binary_join_element_wise("s3://acme-media/cameras/", names, ".jpg", ""),
        "source_version": _hex(rng, count, 8),
        "source_state": _same("present", count),
        "ingested_at": _same(_WHEN, count),
        "row_fp": rng.integers(0, 2**63, count, dtype=np.uint64),
        "clip": pa.FixedSizeListArray.from_arrays(pa.array(cell), _DIMENSIONS),
        "clip__src": rng.integers(0, 2**63, count, dtype=np.uint64),
        "clip__fn": _same("f" * 32, count),
    }
    made = [columns.get(f.name, pa.nulls(count, f.type)) for f in SCHEMA]
    return pa.table(dict(zip(SCHEMA.names, made, strict=True))).cast(SCHEMA)


def _edit(workspace: Workspace, base: pa.Table, edits: Edits, new: pa.Table) -> None:
    table = LanceTableStore().open(workspace.table("media"))
    table.upsert(pa.concat_tables([_apply(base, edits).take(pa.array(edits.changed)), new]))
    ids = base["row_id"].take(pa.array(edits.removed)).to_pylist()
    table.delete(f"row_id IN ({', '.join(map(repr, ids))})")


def _apply(base: pa.Table, edits: Edits) -> pa.Table:
    """The base with one column of the changed rows set anew, and their fingerprints."""
    values = base[edits.column].to_numpy().copy()
    values[edits.changed] = 640
    rows = base.set_column(
        SCHEMA.get_field_index(edits.column), SCHEMA.field(edits.column), pa.array(values)
    )
    prints = rows["row_fp"].to_numpy().copy()
    for at, row in zip(edits.changed, rows.take(pa.array(edits.changed)).to_pylist(), strict=True):
        prints[at] = row_fingerprint(row, MEDIA_FINGERPRINT)
    at = SCHEMA.get_field_index("row_fp")
    return rows.set_column(at, SCHEMA.field("row_fp"), pa.array(prints))


def _hex(rng: np.random.Generator, count: int, size: int) -> pa.Array:
    """Strings of ``2 * size`` random hex digits."""
    text = rng.bytes(count * size).hex().encode()
    ends = np.arange(0, 2 * size * (count + 1), 2 * size, dtype=np.int32)
    return pa.StringArray.from_buffers(count, pa.py_buffer(ends.tobytes()), pa.py_buffer(text))


def _same(value: Any, count: int) -> pa.Array:
    return pa.repeat(pa.scalar(value), count)


def beside(folder: str, name: str) -> str:
    """A path next to the home ``folder``."""
    return str(Path(folder).with_name(name))
