"""Filling cells of Lance tables: staged beside the table by many workers, committed by one driver.

Two ways, chosen by how much of a fragment is touched: whole columns of the fragment written anew
(``Fragment.update_columns``), or the touched rows kept in a small file and merged at commit time.
A fragment's physical rows never change in Lance (changed rows move to other fragments, deletions
are a bitmap beside it), so a column file staged at an old version still fits at commit time.
"""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Sequence
from typing import Any

import lance
import pyarrow as pa
import pyarrow.compute as pc
from lance.file import LanceFileReader, LanceFileWriter
from lance.fragment import FragmentMetadata

from trainset.errors import InputError
from trainset.tables.base import TableLocation
from trainset.tables.lance_errors import FillOutdated

STAGING = "_staging"  # inside the table's folder, never part of a version
ROWS_SHARE = 0.3  # below this share of a fragment, rewriting rows writes less than columns
_TOMBSTONE = -2  # Lance's field id of a column that a newer file of the fragment holds


def get_fragment(dataset: Any, fragment: int) -> Any:
    """The fragment, or FillOutdated where this version has none of that id."""
    part = dataset.get_fragment(fragment)
    if part is None:
        raise FillOutdated(fragment, "it is not in this version of the table")
    return part


def stage(dataset: Any, location: TableLocation, fragment: int, cells: pa.Table) -> str:
    """Write ``cells`` beside the table; see ``Table.stage_fill``."""
    part = get_fragment(dataset, fragment)
    stored = dataset.scanner(columns=["row_id"], fragments=[part], with_row_id=True).to_table()
    at = pc.index_in(cells["row_id"], value_set=stored["row_id"].combine_chunks())
    if at.null_count:
        missing = cells["row_id"].filter(pc.is_null(at))[0].as_py()
        raise InputError(
            f"row_id {missing!r} is not in fragment {fragment}; stage each row in its own fragment"
        )
    if cells.num_rows == 0:
        return json.dumps({"way": "nothing", "fragment": fragment})
    if cells.num_rows < ROWS_SHARE * stored.num_rows:
        return _stage_rows(location, fragment, cells)
    values = cells.drop_columns(["row_id"]).append_column("_rowid", stored["_rowid"].take(at))
    meta, fields, offsets = part.update_columns(values, with_offsets=True)
    before = part.metadata.to_json()["files"]
    known = {file["path"] for file in before}
    return json.dumps(
        {
            "way": "columns",
            "fragment": fragment,
            "files": [file for file in meta.to_json()["files"] if file["path"] not in known],
            "fields": list(fields),
            "offsets": base64.b64encode(offsets).decode(),
            "replaces": _holders(before, fields),
        }
    )


def _stage_rows(location: TableLocation, fragment: int, cells: pa.Table) -> str:
    name = f"{STAGING}/{uuid.uuid4().hex}.lance"
    options = dict(location.storage_options) or None
    with LanceFileWriter(
        f"{location.uri}/{name}", schema=cells.schema, storage_options=options
    ) as writer:
        for batch in cells.to_batches():
            writer.write_batch(batch)
    return json.dumps({"way": "rows", "fragment": fragment, "path": name})


def commit(dataset: Any, location: TableLocation, tokens: Sequence[str]) -> Any:
    """Make staged fills visible: one commit for all columns, one for all rows.

    A token that is committed already is passed over. Raises FillOutdated, before anything is
    written, when other cells of the same columns were committed since a token was staged.
    """
    parsed = [json.loads(token) for token in tokens]
    columns = [token for token in parsed if token["way"] == "columns"]
    columns = _still_to_do(dataset, columns)
    for round_ in _rounds(columns):
        dataset = _commit_columns(dataset, round_)
    rows = [token for token in parsed if token["way"] == "rows"]
    if rows:
        _commit_rows(dataset, location, rows)
    return dataset


def _rounds(tokens: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Split tokens so that no round names a fragment twice (two columns filled apart)."""
    rounds: list[list[dict[str, Any]]] = []
    used: dict[int, int] = {}
    for token in tokens:
        at = used.get(token["fragment"], 0)
        used[token["fragment"]] = at + 1
        if at == len(rounds):
            rounds.append([])
        rounds[at].append(token)
    return rounds


def _still_to_do(dataset: Any, tokens: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Tokens that are not committed yet. Raises FillOutdated."""
    todo = []
    claimed: set[tuple[int, int]] = set()
    for token in tokens:
        fragment, fields = token["fragment"], token["fields"]
        holders = _holders(_metadata(dataset, fragment)["files"], fields)
        if holders == _holders(token["files"], fields):
            continue  # this very fill is committed: the driver died before it could say so
        if holders != token["replaces"]:
            raise FillOutdated(fragment, "its cells were filled by someone else meanwhile")
        cells = {(fragment, field) for field in fields}
        if cells & claimed:
            raise FillOutdated(fragment, "two fills of the same column were staged apart")
        claimed |= cells
        todo.append(token)
    return todo


def _commit_columns(dataset: Any, tokens: Sequence[dict[str, Any]]) -> Any:
    updated, fields, offsets = [], set(), {}
    for token in tokens:
        fragment = token["fragment"]
        meta = _with_files(_metadata(dataset, fragment), token)
        updated.append(FragmentMetadata.from_json(json.dumps(meta)))
        fields.update(token["fields"])
        offsets[fragment] = base64.b64decode(token["offsets"])
    operation = lance.LanceOperation.Update(
        updated_fragments=updated,
        fields_modified=sorted(fields),
        update_mode="rewrite_columns",
        updated_fragment_offsets=offsets,
    )
    return lance.LanceDataset.commit(dataset, operation, read_version=dataset.version)


def _metadata(dataset: Any, fragment: int) -> dict[str, Any]:
    meta: dict[str, Any] = get_fragment(dataset, fragment).metadata.to_json()
    return meta


def _with_files(meta: dict[str, Any], token: dict[str, Any]) -> dict[str, Any]:
    """The fragment as it is now, with the token's columns taken from the token's files."""
    filled = {field for file in token["files"] for field in file["fields"]}
    kept = []
    for file in meta["files"]:
        fields = [_TOMBSTONE if field in filled else field for field in file["fields"]]
        if any(field != _TOMBSTONE for field in fields):
            kept.append({**file, "fields": fields})
    return {**meta, "files": [*kept, *token["files"]]}


def _holders(files: Sequence[dict[str, Any]], fields: Sequence[int]) -> dict[str, str]:
    """Which file holds each field; a column that was never written has none."""
    wanted = set(fields)
    return {str(f): file["path"] for file in files for f in file["fields"] if f in wanted}


def _commit_rows(dataset: Any, location: TableLocation, tokens: Sequence[dict[str, Any]]) -> None:
    """Merge staged rows by ``row_id``; rows that were deleted since stay deleted."""
    options = dict(location.storage_options) or None
    groups: dict[tuple[str, ...], list[pa.Table]] = {}
    for token in tokens:
        reader = LanceFileReader(f"{location.uri}/{token['path']}", storage_options=options)
        cells = reader.read_all().to_table()
        groups.setdefault(tuple(cells.column_names), []).append(cells)
    for parts in groups.values():
        merge = dataset.merge_insert("row_id").when_matched_update_all()
        merge.write_mode("rewrite_rows").execute(pa.concat_tables(parts))
