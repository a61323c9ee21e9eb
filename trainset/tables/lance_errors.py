"""Where Lance's errors become ours: one context manager around every call into it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pyarrow as pa

from trainset.errors import AccessDenied, ConflictError, InputError, NotFound, TransientError

# Lance ends its texts with the source lines of its own code; a user has no use for them.
_RUST_SOURCE = re.compile(r",? ?/[\w/.-]+\.rs:\d+(:\d+)?")
_QUERY_FAULT = re.compile(r"invalid user input|schema error|parsing|execution error", re.IGNORECASE)
_DENIED = re.compile(r"AccessDenied|SignatureDoesNotMatch|InvalidAccessKeyId|Forbidden")


class FillOutdated(ConflictError):
    """The cells were staged against values that have changed since."""

    kind = "fill-outdated"

    def __init__(self, fragment: int, reason: str) -> None:
        self.fragment = fragment
        super().__init__(
            f"fragment {fragment}: {reason}; compute this fragment again on the newest version"
        )


@contextmanager
def lance_errors(
    uri: str, *, where: str | None = None, columns: Sequence[str] = ()
) -> Iterator[None]:
    """Translate what Lance raises; ``where`` and ``columns`` say what a bad query was about.

    Raises:
        NotFound: no table, or no such version of it, at ``uri``.
        InputError: the filter or a column name does not fit the table.
        AccessDenied: the store takes the key for wrong, or it may not read here.
        ConflictError: someone else wrote the same rows.
        TransientError: the store failed in a way that may pass.
    """
    try:
        yield
    except (ValueError, OSError, RuntimeError, pa.ArrowException) as err:
        if isinstance(err, (InputError, ConflictError, TransientError)):
            raise
        text = _RUST_SOURCE.sub("", str(err)).strip()
        lower = text.lower()
        if "was not found" in lower and "dataset at path" in lower:
            raise NotFound(
                f"there is no table at {uri}, or not that version of it; list the tables with "
                "'trainset show', or name another ref"
            ) from err
        if _DENIED.search(text):
            raise AccessDenied(
                f"{uri}: the store refuses these credentials ({_short(text)}); check the key and "
                "what it may read"
            ) from err
        if "commit conflict" in lower:
            raise ConflictError(
                f"{uri}: another writer changed the same rows ({text}); run again"
            ) from err
        if where is not None and _QUERY_FAULT.search(text):
            raise InputError(
                f"where {where!r}: {_short(text)}; the columns are {', '.join(columns)}"
            ) from err
        if isinstance(err, OSError) and "://" in uri:
            raise TransientError(f"{uri}: the store failed ({_short(text)}); try again") from err
        raise InputError(f"{uri}: {_short(text)}; mend the call, or restore the table") from err


def _short(text: str) -> str:
    text = re.sub(r"^((Invalid user input|(Query )?Execution error|Schema error): )+", "", text)
    return re.sub(r"\s*Valid fields are .*", "", text).strip(" .,")
