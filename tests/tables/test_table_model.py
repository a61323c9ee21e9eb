"""Any order of writes leaves the table equal to a dict that went through the same."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from trainset.tables.base import TableLocation
from trainset.tables.lance_store import LanceTableStore
from trainset.tables.root_hash import root_hash

SCHEMA = pa.schema(
    [
        pa.field("row_id", pa.string(), nullable=False),
        pa.field("x", pa.int64()),
        pa.field("c", pa.string()),
        pa.field("c__src", pa.uint64()),
        pa.field("c__fn", pa.string()),
        pa.field("row_fp", pa.uint64()),
    ]
)
IDS = st.sets(st.integers(0, 30).map(lambda n: f"r{n:02}"), min_size=1, max_size=20)


class TableModel(RuleBasedStateMachine):
    """One table, opened anew now and then, beside a dict of its rows."""

    @initialize()
    def create(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.store, self.at = LanceTableStore(), TableLocation(str(self.folder / "t"))
        self.table = self.store.create(self.at, SCHEMA)
        self.rows: dict[str, dict[str, Any]] = {}
        self.kept: dict[int, dict[str, dict[str, Any]]] = {}
        self.staged: list[tuple[str, dict[str, str]]] = []

    @rule(ids=IDS, x=st.integers(0, 3), empty=st.booleans())
    def upsert(self, ids: set[str], x: int, empty: bool) -> None:
        data = [{"row_id": id_, "x": x, "row_fp": x} for id_ in sorted(ids)]
        schema = pa.schema([SCHEMA.field(n) for n in ("row_id", "x", "row_fp")])
        before = self.table.version
        counts = self.table.upsert(
            pa.Table.from_pylist(data, schema=schema),
            empty=["c", "c__src", "c__fn"] if empty else [],
        )
        changed = {i for i in ids if i in self.rows and self.rows[i]["row_fp"] != x}
        new = ids - self.rows.keys()
        assert (counts.inserted, counts.updated) == (len(new), len(changed))
        assert (self.table.version == before) == (not new and not changed)
        for id_ in new:
            self.rows[id_] = dict.fromkeys(SCHEMA.names) | {"row_id": id_}
        for id_ in new | changed:
            self.rows[id_] = self.rows[id_] | {"x": x, "row_fp": x}
        for id_ in changed if empty else ():
            self.rows[id_] = self.rows[id_] | {"c": None, "c__src": None, "c__fn": None}
        self._forget(changed)

    @rule(ids=IDS)
    def delete(self, ids: set[str]) -> None:
        names = ", ".join(f"'{id_}'" for id_ in ids)
        gone = ids & self.rows.keys()
        assert self.table.delete(f"row_id in ({names})") == len(gone)
        for id_ in gone:
            del self.rows[id_]
        self._forget(gone)

    @precondition(lambda self: self.rows and not self.staged)
    @rule(data=st.data(), value=st.sampled_from("abc"))
    def stage(self, data: st.DataObject, value: str) -> None:
        """Workers fill some cells of every fragment at this version; nothing is visible yet."""
        pinned = self.store.open(TableLocation(self.at.uri, version=self.table.version))
        for fragment in pinned.fragments():
            ids = sorted(pinned.read_fragment(fragment, ["row_id"])["row_id"].to_pylist())
            some = ids[: data.draw(st.integers(0, len(ids)))]
            cells = {"row_id": some, "c": [value] * len(some), "c__fn": ["f" + value] * len(some)}
            types = [SCHEMA.field(n) for n in cells]
            token = pinned.stage_fill(fragment, pa.table(cells, schema=pa.schema(types)))
            self.staged.append((token, dict.fromkeys(some, value)))

    @precondition(lambda self: self.staged)
    @rule()
    def commit(self) -> None:
        self.table.commit_fills([token for token, _ in self.staged])
        for _, cells in self.staged:
            for id_, value in cells.items():
                if id_ in self.rows:
                    self.rows[id_] = self.rows[id_] | {"c": value, "c__fn": "f" + value}
        self.staged = []

    @rule()
    def keep(self) -> None:
        self.kept[self.table.version] = {id_: dict(row) for id_, row in self.rows.items()}

    @precondition(lambda self: self.kept and not self.staged)
    @rule(data=st.data())
    def restore(self, data: st.DataObject) -> None:
        version = data.draw(st.sampled_from(sorted(self.kept)))
        self.table.restore(version)
        self.rows = {id_: dict(row) for id_, row in self.kept[version].items()}

    @rule()
    def reopen(self) -> None:
        self.table = self.store.open(self.at)

    @rule()
    def move_files(self) -> None:
        """The files that the version names are all that a copy needs."""
        copy = self.folder / "copy"
        for file in self.table.files():
            (copy / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(Path(self.at.uri) / file, copy / file)
        moved = self.store.open(TableLocation(str(copy), version=self.table.version))
        assert self._content(moved) == self.rows
        assert root_hash({"t": moved}) == root_hash({"t": self.table})
        shutil.rmtree(copy)

    @invariant()
    def the_table_is_the_dict(self) -> None:
        assert self._content(self.table) == self.rows
        assert self.table.count() == len(self.rows)

    def teardown(self) -> None:
        for version, rows in self.kept.items():
            old = self.store.open(TableLocation(self.at.uri, version=version))
            assert self._content(old) == rows
        shutil.rmtree(self.folder)

    @staticmethod
    def _content(table: Any) -> dict[str, dict[str, Any]]:
        return {row["row_id"]: row for row in table.scan().read_all().to_pylist()}

    def _forget(self, ids: set[str]) -> None:
        """Rows that moved or went since the cells were staged: those cells are out of date, and
        whether they arrive depends on how they were staged; take them out of both sides."""
        if any(ids & cells.keys() for _, cells in self.staged):
            self.staged = []


TestTableModel = TableModel.TestCase
TestTableModel.settings = settings(
    max_examples=25,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
