"""``Seam``: a block whose errors leave it as ours. Where the layers below speak their own."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

# (what was raised, facts of the block) -> what to raise instead; None: it passes as it is.
Ours = Callable[..., Exception | None]


class Seam:
    """``with Seam(ours, *facts)``: an error of the block becomes ``ours(error, *facts)``.

    A class, where a generator would read better: a small file passes ten of them on its way.
    """

    __slots__ = ("_facts", "_ours")

    def __init__(self, ours: Ours, *facts: object) -> None:
        self._ours, self._facts = ours, facts

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None and (found := self._ours(error, *self._facts)) is not None:
            raise found from error
