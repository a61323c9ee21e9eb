"""Which rule of the spec takes a file, and where the file goes.

Rules are tried in order; the first that fits decides. Before a file is read its name speaks for
its kind, and what only a look into the file can say is unknown: where the answer hangs on that,
the decision is ``read``, and the sender asks again with the facts. The same file and the same
facts give the same decision, in every process.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from trainset.model import MediaFacts, Protection
from trainset.spec import RouteSpec, TransferSpec
from trainset.transfer.answers import FALSE, TRUE, Condition
from trainset.transfer.attributes import Row, row_of
from trainset.transfer.base import SourceFile
from trainset.transfer.globs import path_filter

Action = Literal["take", "skip", "fail", "read"]


@dataclass(frozen=True, slots=True)
class Decision:
    """What the rules say of one file.

    Attributes:
        action: take (send it), skip (take no such file), fail (no rule takes it, and the spec says
            ``unmatched: fail``), read (unknown until its facts are there).
        rule: name of the rule that decided, or that asks for the facts; None: no rule fits.
        to: another bucket or folder than the home.
        prefix: folder below the media of its place.
        protection: None: as the dataset says.
        reason: why it is skipped or fails.
    """

    action: Action
    rule: str | None = None
    to: str | None = None
    prefix: str | None = None
    protection: Protection | None = None
    reason: str | None = None


HOME = Decision("take")
_UNMATCHED = {
    "home": HOME,
    "skip": Decision("skip", reason="no rule of transfer.routes takes it (unmatched: skip)"),
    "fail": Decision(
        "fail",
        reason="no rule of transfer.routes takes it (unmatched: fail); "
        "add a rule, or say unmatched: home or skip",
    ),
}


class Router:
    """The rules of one spec, compiled."""

    def __init__(self, transfer: TransferSpec) -> None:
        self._rules = [_Rule(route) for route in transfer.routes]
        self._unmatched = _UNMATCHED[transfer.unmatched or "home"]

    def route(self, file: SourceFile, facts: MediaFacts | None = None) -> Decision:
        """Decide; with ``facts`` never ``read``."""
        if not self._rules:
            return HOME
        row = row_of(file, facts)
        for rule in self._rules:
            fits = rule.fits(row)
            if fits == TRUE:
                return rule.decision
            if fits & TRUE:
                return rule.ask
        return self._unmatched


class _Rule:
    """One rule: the cheap tests first, as any that fails decides."""

    def __init__(self, spec: RouteSpec) -> None:
        self._path = path_filter(spec.path, ()) if spec.path else None
        self._sources = frozenset(spec.source)
        self._mime = _mime_filter(spec.mime) if spec.mime else None
        self._least = spec.min_size or 0
        self._most = spec.max_size
        self._where = _condition(spec.where) if spec.where else None
        if spec.skip is not None:
            self.decision = Decision("skip", spec.name, reason=spec.skip)
        else:
            self.decision = Decision("take", spec.name, spec.to, spec.prefix, spec.protect)
        self.ask = Decision("read", spec.name, reason="it must be read to know which rule fits")

    def fits(self, row: Row) -> int:
        """The truth values that may come out, as ``answers`` writes them."""
        size = row["size"]
        if size < self._least or (self._most is not None and size > self._most):
            return FALSE
        if self._sources and row["source"] not in self._sources:
            return FALSE
        if self._path is not None and not self._path(row["path"]):
            return FALSE
        fits = TRUE
        if self._mime is not None:
            mime = row["mime"]
            if isinstance(mime, str):
                if not self._mime.fullmatch(mime):
                    return FALSE
            else:
                fits = TRUE | FALSE  # nothing speaks for its kind yet
        if self._where is None:
            return fits
        found = self._where(row)
        return found if fits == TRUE or not found & TRUE else found | FALSE


def _condition(where: str) -> Condition:
    from trainset.transfer.conditions import parse_condition  # late: its SQL parser takes 30 MB

    return parse_condition(where)


def _mime_filter(patterns: Sequence[str]) -> re.Pattern[str]:
    one = "|".join(".*".join(map(re.escape, pattern.lower().split("*"))) for pattern in patterns)
    return re.compile(one)
