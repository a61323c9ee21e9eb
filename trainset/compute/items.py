"""One medium through all operators that are due: one read, one decode, errors as values."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from trainset.compute.base import ItemError, Operator
from trainset.compute.fetch import Found, fetch
from trainset.compute.plan import DueRow
from trainset.errors import MediaUnreadable, NotFound, TransientError
from trainset.home import Home
from trainset.media.asset import Asset

log = logging.getLogger(__name__)


class Prepared(NamedTuple):
    """Inputs by column, or ItemErrors in their place; ``found`` is new of the medium, if it is.

    A medium that turns out to be broken, or of a kind that an operator does not take, has no
    inputs of it: it is then as any row that the columns do not apply to.
    """

    inputs: dict[str, Any]
    found: Found | None = None


def prepare_item(
    home: Home, row: DueRow, operators: Mapping[str, Operator], scratch: Path
) -> Prepared:
    """Read a medium and prepare it for its operators; never raises for the medium.

    Deterministic operators come first: they always see Pillow's pixels, which a model may then
    share (see ``Asset.pixels``).
    """
    try:
        fetched = fetch(home, row, scratch)
    except Exception as err:
        problem = _error_of(err, "fetch")
        return Prepared(dict.fromkeys(operators, problem))
    found = fetched.found
    facts = None if found is None else found.facts
    asset = Asset(row.key, fetched.data, row.mime, row.modality)
    if facts is not None:
        asset = Asset(row.key, fetched.data, facts.mime, facts.modality)
        apply = facts.unreadable is None
        operators = {
            n: op for n, op in operators.items() if apply and facts.modality in op.modalities
        }
    inputs: dict[str, Any] = {}
    try:
        for name in sorted(operators, key=lambda n: not operators[n].function.deterministic):
            try:
                inputs[name] = operators[name].prepare(asset)
            except Exception as err:
                inputs[name] = _error_of(err, "op")
    finally:
        if fetched.remove is not None:
            fetched.remove.unlink(missing_ok=True)
    return Prepared(inputs, found)


def compute_batch(operator: Operator, prepared: Sequence[Any]) -> list[Any]:
    """Values or ItemErrors of a batch, in order; a batch that fails is computed item by item."""
    values: list[Any] = list(prepared)
    good = [i for i, item in enumerate(prepared) if not isinstance(item, ItemError)]
    if not good:
        return values
    try:
        made = list(operator.compute([prepared[i] for i in good]))
        if len(made) != len(good):
            raise RuntimeError(f"{len(made)} values for {len(good)} items")
    except Exception as err:
        if len(good) == 1:
            made = [_error_of(err, "op")]
        else:
            log.warning("a batch of %d failed (%s); computing it item by item", len(good), err)
            made = [compute_batch(operator, [prepared[i]])[0] for i in good]
    for i, value in zip(good, made, strict=True):
        values[i] = value
    return values


def _error_of(err: Exception, kind: str) -> ItemError:
    if isinstance(err, MediaUnreadable):
        return ItemError(kind="decode", message=str(err))
    if isinstance(err, (TransientError, ConnectionError, TimeoutError, MemoryError)):
        return ItemError(kind="fetch", message=_words(err), retryable=True)
    if isinstance(err, NotFound):  # someone may bring it back
        return ItemError(kind="fetch", message=_words(err), retryable=True)
    return ItemError(kind=kind, message=_words(err), retryable=kind == "fetch")


def _words(err: Exception) -> str:
    text = " ".join(str(err).split())
    return f"{type(err).__name__}: {text}"[:500]
