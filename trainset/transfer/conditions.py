"""``where`` of a transfer rule: SQL over one file's attributes, for files that are not read yet.

A condition has three answers in SQL (true, false, null) and one more here: it may hang on what
only reading the file will tell. So it gives the *set* of answers that may come out, as bits. Only
``TRUE`` by itself takes a file, and a set without ``TRUE`` never will.

The language is an allow-list: and, or, not, comparisons, in, between, like, ilike, is null,
literals, and the names in ``attributes.ATTRIBUTES``. Nothing of it can call anything.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlglot import exp

from trainset.errors import SpecError
from trainset.spec_where import parse_where
from trainset.transfer.answers import ANY, FALSE, NULL, TRUE, Condition, both, either, negated
from trainset.transfer.attributes import ATTRIBUTES, UNREAD, Row, Type

Node = Any  # sqlglot's syntax tree; its base class has had two names


class Value(NamedTuple):
    """A compiled operand; ``type``: of attributes, or null."""

    type: str
    get: Callable[[Row], Any]


_COMPARISONS: dict[type, Callable[[Any, Any], bool]] = {
    exp.EQ: operator.eq,
    exp.NEQ: operator.ne,
    exp.LT: operator.lt,
    exp.LTE: operator.le,
    exp.GT: operator.gt,
    exp.GTE: operator.ge,
}
_CASTS = ("DATE", "TIMESTAMP", "TIMESTAMPNTZ", "TIMESTAMPTZ")  # date '2026-01-31'


def parse_condition(where: str, attributes: Mapping[str, Type] = ATTRIBUTES) -> Condition:
    """Compile a ``where``.

    Args:
        attributes: what may be asked for; of a rule: of a file.

    Raises:
        SpecError: it is no such condition; names the part, and what is allowed.
    """
    tree = parse_where(where, example="width >= 640 and mime like 'image/%'")
    return _Compiler(where, attributes).condition(tree)


class _Compiler:
    def __init__(self, where: str, attributes: Mapping[str, Type]) -> None:
        self._where, self._attributes = where, attributes

    def condition(self, node: Node) -> Condition:
        kind = type(node)
        if kind is exp.Paren:
            return self.condition(self._only(node, "this").this)
        if kind in (exp.And, exp.Or):
            self._only(node, "this", "expression")
            join = both if kind is exp.And else either
            return join(self.condition(node.this), self.condition(node.expression))
        if kind is exp.Not:
            return negated(self.condition(self._only(node, "this").this))
        if kind is exp.Boolean:
            answer = TRUE if node.this else FALSE
            return lambda row: answer
        if kind is exp.Null:
            return lambda row: NULL
        if kind in _COMPARISONS:
            self._only(node, "this", "expression")
            return self._compare(_COMPARISONS[kind], node, node.this, node.expression)
        if kind is exp.Between:
            self._only(node, "this", "low", "high")
            above = self._compare(operator.ge, node, node.this, node.args["low"])
            return both(above, self._compare(operator.le, node, node.this, node.args["high"]))
        if kind is exp.In:
            return self._in(self._only(node, "this", "expressions"))
        if kind in (exp.Like, exp.ILike):
            # "not like" is a mark on the node in some versions of the parser, a Not in others.
            like = self._like(self._only(node, "this", "expression", "negate"))
            return negated(like) if node.args.get("negate") else like
        if kind is exp.Is and isinstance(node.expression, exp.Null):
            get = self.value(self._only(node, "this", "expression").this).get
            return lambda row: _is_null(get(row))
        raise self._refuse(node, "is no condition that rules know")

    def value(self, node: Node, wanted: str | None = None) -> Value:
        """An operand; text that is compared with a time is read as one."""
        if isinstance(node, exp.Paren):
            return self.value(node.this, wanted)
        if isinstance(node, exp.Column):
            name = node.name.lower()
            if len(node.parts) > 1 or name not in self._attributes:
                raise self._refuse(node, "is no attribute of a file")
            return Value(self._attributes[name], operator.itemgetter(name))
        if isinstance(node, exp.Null):
            return Value("null", lambda row: None)
        if isinstance(node, exp.Cast) and node.to.this.name in _CASTS:
            return self.value(node.this, "time")
        if isinstance(node, exp.Neg) and isinstance(node.this, exp.Literal):
            if not node.this.is_string:
                return _constant("number", -_number(node.this.this))
        elif isinstance(node, exp.Literal):
            if not node.is_string:
                return _constant("number", _number(node.this))
            if wanted == "time":
                return _constant("time", self._time(node))
            return _constant("text", node.this)
        raise self._refuse(node, "is no value that rules know")

    def _pair(self, node: Node, left: Node, right: Node) -> tuple[Value, Value]:
        a, b = self.value(left), self.value(right)
        if a.type == "time" and b.type == "text":
            b = self.value(right, "time")
        elif b.type == "time" and a.type == "text":
            a = self.value(left, "time")
        if a.type != b.type and "null" not in (a.type, b.type):
            raise self._refuse(node, f"compares {a.type} with {b.type}")
        return a, b

    def _compare(
        self, test: Callable[[Any, Any], bool], node: Node, left: Node, right: Node
    ) -> Condition:
        (_, get_a), (_, get_b) = self._pair(node, left, right)

        def answer(row: Row) -> int:
            a, b = get_a(row), get_b(row)
            if a is None or b is None:
                return NULL
            if a is UNREAD or b is UNREAD:
                return ANY
            return TRUE if test(a, b) else FALSE

        return answer

    def _in(self, node: Node) -> Condition:
        get = self.value(node.this).get
        pairs = [self._pair(node, node.this, one)[1] for one in node.expressions]
        if not pairs or any(one.find(exp.Column) for one in node.expressions):
            raise self._refuse(node, "compares with something else than a list of values")
        values = frozenset(one.get({}) for one in pairs)
        otherwise = NULL if None in values else FALSE

        def answer(row: Row) -> int:
            found = get(row)
            if found is None:
                return NULL
            if found is UNREAD:
                return ANY
            return TRUE if found in values else otherwise

        return answer

    def _like(self, node: Node) -> Condition:
        pattern = node.expression
        if not isinstance(pattern, exp.Literal) or not pattern.is_string:
            raise self._refuse(node, "wants a pattern in quotes, as in path like '%.raw'")
        (type_, get), folds = self.value(node.this), isinstance(node, exp.ILike)
        if type_ not in ("text", "null"):
            raise self._refuse(node, f"wants text, not a {type_}")
        text = pattern.this.lower() if folds else pattern.this
        words = {"%": ".*", "_": "."}
        fits = re.compile("".join(words.get(c) or re.escape(c) for c in text), re.DOTALL).fullmatch

        def answer(row: Row) -> int:
            found = get(row)
            if found is None:
                return NULL
            if found is UNREAD:
                return ANY
            return TRUE if fits(found.lower() if folds else found) else FALSE

        return answer

    def _time(self, node: Node) -> datetime:
        try:
            time = datetime.fromisoformat(node.this)
        except ValueError:
            raise self._refuse(node, "is no time like '2026-01-31' or '2026-01-31 12:00'") from None
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time

    def _only(self, node: Node, *names: str) -> Node:
        """The node, if it holds nothing else: what is not understood must not be passed over."""
        if any(held for name, held in node.args.items() if name not in names):
            raise self._refuse(node, "is no condition that rules know")
        return node

    def _refuse(self, node: Node, why: str) -> SpecError:
        return SpecError(
            f"where {self._where!r}: {node.sql(dialect='duckdb')} {why}; rules know "
            f"{', '.join(self._attributes)}, literals ('text' in single quotes), and, or, not, "
            "= != < <= > >=, in, between, like, ilike, is null"
        )


def _constant(type_: str, value: Any) -> Value:
    return Value(type_, lambda row: value)


def _number(text: str) -> int | float:
    return int(text) if text.isdigit() else float(text)


def _is_null(value: Any) -> int:
    if value is UNREAD:
        return TRUE | FALSE
    return TRUE if value is None else FALSE
