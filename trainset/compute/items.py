"""One medium through all operators that are due: one read, one decode, errors as values."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trainset.compute.base import ItemError, Operator
from trainset.compute.plan import DueRow
from trainset.errors import MediaUnreadable, NotFound, TransientError
from trainset.home import Home
from trainset.media.asset import Asset

log = logging.getLogger(__name__)
IN_MEMORY_BYTES = 64 * 2**20  # larger media are read from a local file, piece by piece


def prepare_item(
    home: Home, row: DueRow, operators: Mapping[str, Operator], scratch: Path
) -> dict[str, Any]:
    """Prepared inputs by column, or an ItemError in their place; never raises for the medium.

    Deterministic operators come first: they always see Pillow's pixels, which a model may then
    share (see ``Asset.pixels``).
    """
    local: Path | None = None
    try:
        data, local = _fetch(home, row, scratch)
    except Exception as err:
        problem = _error_of(err, "fetch")
        return dict.fromkeys(operators, problem)
    asset = Asset(row.key, data, row.mime, row.modality)
    prepared: dict[str, Any] = {}
    try:
        for name in sorted(operators, key=lambda n: not operators[n].function.deterministic):
            try:
                prepared[name] = operators[name].prepare(asset)
            except Exception as err:
                prepared[name] = _error_of(err, "op")
    finally:
        if local is not None:
            local.unlink(missing_ok=True)
    return prepared


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


def _fetch(home: Home, row: DueRow, scratch: Path) -> tuple[bytes | Path, Path | None]:
    """The medium's bytes, or a local path for a large one; and what to delete afterwards."""
    if row.size <= IN_MEMORY_BYTES:
        return home.read_media(row.uri), None
    local = home.store.local_path(row.uri)
    if local is not None:
        return local, None
    copy = scratch / row.sha256
    home.store.fetch_file(row.uri, copy)
    return copy, copy


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
