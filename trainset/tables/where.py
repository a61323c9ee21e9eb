"""``where`` with dotted names of other tables, rewritten to what one table can answer.

``annotations.class = 'car'`` on ``media`` holds for media of which **some row** of ``annotations``
fits. Rules:

- Conditions on one table joined by ``and``/``or`` are one question about one row:
  ``annotations.class = 'car' and annotations.score > 0.5`` wants a label that is both.
- ``not (...)`` around it wants **no row** that fits: ``not annotations.class = 'car'`` finds media
  without a car (also those without any label). The operators ``!=``, ``not in``, ``not like`` and
  ``is not null`` stay inside: ``annotations.class != 'car'`` wants some label that is not a car.
- One comparison cannot mix columns of two tables.

Tables meet by ``row_id`` of ``media`` and ``media_id`` of all others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import pyarrow.compute as pc
from sqlglot import exp, parser, tokens
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import SqlglotError

from trainset.errors import InputError
from trainset.tables.base import Table

Node = Any  # sqlglot's syntax tree; its base class has had two names
OpenTable = Callable[[str], Table]

_MANY = 20_000  # ids; above, the smaller of "in these" and "not in those" is sent to the engine


class _Filter(Dialect):
    """Lance's filter language as far as rewriting needs it: names in backticks, functions kept."""

    NORMALIZE_NOT_NULL = False
    NORMALIZE_FUNCTIONS = False

    class Tokenizer(tokens.Tokenizer):
        IDENTIFIERS = ["`"]  # noqa: RUF012
        QUOTES = ["'", '"']  # noqa: RUF012

    class Parser(parser.Parser):
        FUNCTIONS: ClassVar[dict[str, Callable[..., Any]]] = {}  # unknown ones keep their names

        def _negate_range(self, this: Any = None) -> Any:
            negated = super()._negate_range(this)
            if isinstance(negated, exp.Not):
                negated.meta["operator"] = True  # "x not in (…)", unlike "not x in (…)"
            return negated


def resolve_where(where: str, *, table: str, names: Sequence[str], open_table: OpenTable) -> str:
    """``where`` of ``table`` without dotted names of other tables.

    Args:
        names: the tables of the snapshot.
        open_table: opens one of them, at the snapshot's version.
    Returns:
        SQL for ``Table.scan(where=…)``; ``where`` itself when it names no other table.
    Raises:
        InputError: it does not parse, or names unknown columns (the text lists those there are).
    """
    words = "|".join(re.escape(name) for name in names)
    if not re.search(rf"(?<![\w.])`?(?:{words})`?\s*\.", where):
        return where
    try:
        tree = _Filter().parse(where)[0]
    except SqlglotError as err:
        reason = re.sub(r"\x1b\[[0-9;]*m", "", str(err)).splitlines()[0]
        raise InputError(f"where {where!r} is not a SQL expression ({reason}); mend it") from err
    if tree is None:
        raise InputError("where is empty; leave it out")
    dotted = (c.parts[0].name for c in tree.find_all(exp.Column) if len(c.parts) > 1)
    if not set(dotted) & set(names):
        return where  # the name stands in a string
    sql: str = _Rewriter(where, table, names, open_table).rewrite(tree).sql(dialect=_Filter)
    return sql


class _Rewriter:
    def __init__(self, where: str, table: str, names: Sequence[str], open_table: OpenTable) -> None:
        self.where, self.table, self.names, self.open_table = where, table, names, open_table
        self.own = open_table(table).schema.names

    def rewrite(self, node: Node) -> Node:
        foreign = self._foreign(node)
        if not foreign:
            return _without_prefix(node, self.table) if self._of(node) else node
        if len(foreign) == 1 and not self._of(node) - foreign and not _outer_not(node):
            return self._semi_join(next(iter(foreign)), node)
        if isinstance(node, exp.And):
            return self._rewrite_and(node)
        if isinstance(node, exp.Or):
            return exp.Or(this=self.rewrite(node.left), expression=self.rewrite(node.right))
        if isinstance(node, (exp.Not, exp.Paren)):
            return type(node)(this=self.rewrite(node.this))
        raise InputError(
            f"where {self.where!r}: {node.sql(dialect=_Filter)} compares columns of "
            f"{' and '.join(sorted(self._of(node)))}; compare each table with values, and join the "
            "conditions with and, or, not"
        )

    def _rewrite_and(self, node: Node) -> Node:
        """Conditions on the same table become one question; the others stay their own."""
        groups: dict[str, Node] = {}
        parts: list[Node] = []
        for part in node.flatten(unnest=False):
            of = self._of(part)
            if len(of) == 1 and self._foreign(part) and not _outer_not(part):
                name = next(iter(of))
                groups[name] = exp.and_(groups[name], part) if name in groups else part
            else:
                parts.append(self.rewrite(part))
        parts += [self._semi_join(name, part) for name, part in groups.items()]
        return exp.and_(*parts)

    def _of(self, node: Node) -> set[str]:
        """Names of the tables whose columns ``node`` holds."""
        found = set()
        for column in node.find_all(exp.Column):
            first = column.parts[0].name
            dotted = len(column.parts) > 1 and first not in self.own
            found.add(first if dotted and first in self.names else self.table)
        return found

    def _foreign(self, node: Node) -> set[str]:
        return self._of(node) - {self.table}

    def _semi_join(self, name: str, node: Node) -> Node:
        """``node`` holds columns of table ``name`` only: ask it, and compare ids."""
        other = self.open_table(name)
        theirs = "row_id" if name == "media" else "media_id"
        ours = "row_id" if self.table == "media" else "media_id"
        for table, columns, key in (
            (name, other.schema.names, theirs),
            (self.table, self.own, ours),
        ):
            if key not in columns:
                raise InputError(
                    f"where {self.where!r}: table {table!r} has no column {key!r}, so its rows "
                    f"belong to no medium; ask {name!r} by itself"
                )
        inner = _without_prefix(node, name).sql(dialect=_Filter)
        found = other.scan([theirs], where=inner).read_all()[theirs]
        ids = pc.unique(found.drop_null()).to_pylist()
        return self._in(ours, sorted(ids))

    def _in(self, column: str, ids: Sequence[str]) -> Node:
        if not ids:
            return exp.false()
        key = exp.column(column)
        present = exp.Not(this=exp.Is(this=key, expression=exp.null()))
        if len(ids) > _MANY:
            mine = self.open_table(self.table).scan([column]).read_all()[column]
            rest = sorted(set(mine.drop_null().unique().to_pylist()) - set(ids))
            if not rest:
                return present
            if len(rest) < len(ids):
                return exp.paren(exp.and_(present, exp.Not(this=_is_in(key, rest))))
        return exp.paren(exp.and_(present, _is_in(key, ids)))


def _is_in(key: Node, ids: Sequence[str]) -> Node:
    return exp.In(this=key.copy(), expressions=[exp.Literal.string(id_) for id_ in ids])


def _outer_not(node: Node) -> bool:
    return any(not found.meta.get("operator") for found in node.find_all(exp.Not))


def _without_prefix(node: Node, name: str) -> Node:
    """A copy with ``name.`` taken off its columns; a path into a struct keeps its other parts."""
    copy = node.copy()
    for column in list(copy.find_all(exp.Column)):
        parts = [part.copy() for part in column.parts]
        if len(parts) > 1 and parts[0].name == name:
            for part in parts[1:]:
                part.set("quoted", True)
            new = exp.column(*reversed(parts[1:]))
            if column is copy:
                return new
            column.replace(new)
    return copy
