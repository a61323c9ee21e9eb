"""The operator protocol: one function from a medium to one value of a computed column.

``prepare`` runs per item on CPU threads, ``compute`` per batch on the device; a value is the
column's value or an ``ItemError``. Operators are built by ``registry.build(name, params)``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Protocol

import pyarrow as pa
from pydantic import Field

from trainset.identity import hash128
from trainset.media.asset import Asset
from trainset.model import Frozen, Modality


class ItemError(Frozen):
    """Why one cell has no value; stored as JSON in ``c__err``.

    ``retryable`` errors are computed again in the next run, the others when input or function
    changes, or with ``--retry-failed``.
    """

    kind: str  # fetch, decode, op, model
    message: str
    retryable: bool = False

    def encode(self) -> str:
        return json.dumps(self.model_dump(), sort_keys=True)


class Function(Frozen):
    """What makes a computed value what it is; its hash is the ``fn_id`` of its cells.

    Batch size, device and thread counts are not part of it; library versions are recorded in
    ``notes`` and not hashed.
    """

    operator: str
    version: str
    params: dict[str, Any]
    weights_sha256: str | None = None
    preprocess: dict[str, Any] | None = None
    output: str  # str(pa.DataType)
    deterministic: bool = True  # False for models: equal up to cosine 0.9999
    notes: dict[str, str] = Field(default_factory=dict)

    @property
    def fn_id(self) -> str:
        return hash128(self.model_dump(exclude={"notes", "deterministic"}))


class Operator(Protocol):
    """One computed column's function."""

    modalities: frozenset[Modality]  # media it applies to; other rows stay empty
    output: pa.DataType
    function: Function
    batch_size: int
    seconds_per_item: float  # CPU seconds of a typical item, for estimates only

    def setup(self) -> None:
        """Load models; once per worker, before the first prepare. Raises InputError."""
        ...

    def prepare(self, asset: Asset) -> Any:
        """Decode and shape one item. Raises MediaUnreadable (it becomes an ItemError)."""
        ...

    def compute(self, batch: Sequence[Any]) -> Sequence[Any]:
        """One value or ItemError per item, in order."""
        ...


class TextEncoder(Protocol):
    """An operator whose vectors text can be compared with (OpenCLIP)."""

    def encode_text(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """(N, D) rows of L2 norm 1."""
        ...
