"""A spec's ``where`` as a syntax tree; what it may say is for those who use it to judge."""

from __future__ import annotations

import re
from typing import Any

from sqlglot import parse_one
from sqlglot.errors import SqlglotError

from trainset.errors import SpecError


def parse_where(where: str, *, example: str) -> Any:
    """The tree of sqlglot, in DuckDB's dialect.

    Args:
        example: a condition as it is written there, for the message.
    Raises:
        SpecError: it is not SQL.
    """
    try:
        return parse_one(where, dialect="duckdb")
    except SqlglotError as err:
        text = re.sub(r"\x1b\[[0-9;]*m", "", str(err)).split("\n")[0]
        raise SpecError(
            f"where {where!r} is not SQL that can be read ({text.rstrip('.')}); "
            f"write it as in: {example}"
        ) from None
