"""``DatasetDiff``: how one commit of a dataset differs from another, by row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from trainset.errors import NotFound
from trainset.versions.base import TableChange
from trainset.versions.diff import Diff, RowDiff, diff_parts, diff_snapshots, diff_tables
from trainset.versions.diffrows import RowChange, changed_rows, row_changes

if TYPE_CHECKING:
    from trainset.dataset import Dataset
    from trainset.tables.base import Table


class DatasetDiff:
    """What changed from one commit (``old``) to another (``new``); prints as one line a table."""

    def __init__(self, old: Dataset, new: Dataset) -> None:
        self.old, self.new = old, new

    def __repr__(self) -> str:
        lines = [change.said for change in self.tables]
        return "\n".join([self.title, *(lines or ["no row differs"])])

    @property
    def title(self) -> str:
        """``v1 (0a1b2c…) -> main (3d4e5f…)``."""
        old, new = self.old, self.new
        return f"{old.ref} ({old.commit.id[:12]}) -> {new.ref} ({new.commit.id[:12]})"

    @property
    def tables(self) -> Sequence[TableChange]:
        """Counts of every table that differs, by name."""
        return self._counts.tables

    def summary(self) -> dict[str, dict[str, int]]:
        """Rows added, removed, changed and computed again (``recomputed``), by table."""
        return self._counts.summary()

    def rows(self, table: str) -> RowDiff:
        """The row ids behind the counts of one table. Raises NotFound."""
        return diff_tables(*self._sides(table))

    def changes(self, table: str, *, limit: int | None = None) -> Iterator[RowChange]:
        """The rows behind the counts of one table, each with the columns that differ.

        In no order, and in bounded memory, whatever the table's size.

        Args:
            limit: at most so many rows added, removed, changed and computed again, each.
        Raises:
            NotFound: neither commit has the table.
        """
        old, new = self._sides(table)
        return row_changes(table, old, new, diff_parts(old, new), limit=limit)

    def changed(self, table: str, *, limit: int = 1000) -> list[RowChange]:
        """Changed rows with the user columns that differ, before and after; at most ``limit``."""
        old, new = self._sides(table)
        if old is None or new is None:
            return []
        return list(changed_rows(table, old, new, diff_tables(old, new).changed.slice(0, limit)))

    def to_html(self) -> str:
        """The diff as one self-contained page, with thumbnails of media."""
        from trainset.report.diff_page import write_diff_page

        return write_diff_page(self)

    def to_parquet(self, path: str | Path) -> int:
        """Write every row of every table that differs; returns how many lines.

        A line a value that differs: table, how, row_id, key, column, before, after (as JSON).
        """
        from trainset.versions.diff_file import change_lines, write_parquet

        lines = (change_lines(one.table, self.changes(one.table)) for one in self.tables)
        return write_parquet(chain.from_iterable(lines), Path(path))

    @cached_property
    def _counts(self) -> Diff:
        return diff_snapshots(self.old.snapshot, self.new.snapshot)

    def _sides(self, table: str) -> tuple[Table | None, Table | None]:
        names = sorted({*self.old.tables(), *self.new.tables()})
        if table not in names:
            raise NotFound(
                f"neither {self.old.ref} nor {self.new.ref} has a table {table!r}; they have "
                f"{', '.join(names) or 'none'}"
            )
        old, new = (
            dataset.open_table(table) if table in dataset.tables() else None
            for dataset in (self.old, self.new)
        )
        return old, new
