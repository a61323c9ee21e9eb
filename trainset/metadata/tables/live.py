"""Keys of the rows that a source has now: what a table holds beside them was deleted there."""

from __future__ import annotations

import pyarrow as pa

from trainset.errors import InputError
from trainset.metadata.table_base import TableSession
from trainset.metadata.tables.cast import cast_values, plain_table
from trainset.metadata.tables.hashes import key_array
from trainset.metadata.tables.mapping import ColumnMapping
from trainset.metadata.tables.ways import Ways


def live_keys(
    session: TableSession,
    ways: Ways,
    schema: pa.Schema,
    mapping: ColumnMapping,
    deletes: str | None,
    *,
    always: bool,
    place: str,
) -> pa.Array | None:
    """The keys as they are stored; None when deletes are not looked for.

    Args:
        deletes: of the spec; None: detect where rows are kept by key and the source can tell.
        always: look for them whatever the spec says, where the source can tell.
    Raises:
        InputError: they are wanted, and the source cannot list its keys.
    """
    wanted = deletes == "detect" or (deletes is None and ways.mode == "incremental-upsert")
    if not (wanted or always):
        return None
    scan = session.live_keys()
    if scan is None and deletes != "detect":
        return None  # a connector: it has no word for what is gone
    if scan is None:
        raise InputError(
            f"{place}: deletes: detect needs a source that can list its keys, and this "
            "one cannot; say deletes: ignore, or mode: full-overwrite"
        )
    found = [key_array(schema.empty_table(), ways.key)]
    for keys in scan:
        rows = mapping.map(plain_table(keys))
        columns = [cast_values(rows[n], schema.field(n).type)[0] for n in ways.key]
        found.append(key_array(pa.table(columns, names=list(ways.key)), ways.key))
    return pa.concat_arrays(found)
