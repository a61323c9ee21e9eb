"""Where keys stand among other keys."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

_DENSE, _SMALL = 8, 1 << 16  # slots a value, and how many there may be in any case


class Lookup:
    """Finds keys in an array of keys; whole numbers that lie close, without hashing them."""

    def __init__(self, values: pa.Array) -> None:
        self._values = values
        self._slots: NDArray[np.int32] | None = None
        whole = pa.types.is_signed_integer(values.type) and not values.null_count
        if whole and 0 < len(values) < 1 << 31:
            numbers = values.to_numpy().astype(np.int64, copy=False)
            self._least, self._greatest = int(numbers.min()), int(numbers.max())
            span = self._greatest - self._least + 1
            if span <= max(_DENSE * len(numbers), _SMALL):
                self._slots = np.full(span, -1, np.int32)
                self._slots[numbers - self._least] = np.arange(len(numbers), dtype=np.int32)

    def find(self, keys: pa.Array) -> NDArray[np.int64]:
        """A place of each key among the values, in the order of ``keys``; -1: it is not there.

        Args:
            keys: of the type of the values, without nulls.
        """
        if self._slots is None:
            found = pc.fill_null(pc.index_in(keys, value_set=self._values), -1)
            hashed: NDArray[np.int64] = found.to_numpy(zero_copy_only=False).astype(np.int64)
            return hashed
        numbers = keys.to_numpy().astype(np.int64, copy=False)
        places = np.full(len(numbers), -1, np.int64)
        inside = (numbers >= self._least) & (numbers <= self._greatest)
        places[inside] = self._slots[numbers[inside] - self._least]
        return places
