"""The one seam where the errors of fsspec's drivers become ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from trainset.errors import (
    AccessDenied,
    InputError,
    MissingExtra,
    NotFound,
    TrainsetError,
    TransientError,
)
from trainset.stores.urls import safe_text

_WRONG = (TypeError, ValueError, AttributeError, NotImplementedError, KeyError)


class MissingDriver(MissingExtra):
    """A kind of source needs a package of its own."""

    def __init__(self, scheme: str, package: str) -> None:
        super().__init__(f"{scheme}://", package)
        self.args = (
            f"sources of kind {scheme}:// need a package that is not installed; "
            f"run: pip install {package}",
        )


@contextmanager
def translated(place: str) -> Iterator[None]:
    """Turn any error of a driver into ``trainset.errors``; ``place`` shows no secret.

    Drivers raise what their libraries raise. What the error is called or which HTTP status it
    carries decides; an unknown one is taken for a passing fault.
    """
    try:
        yield
    except TrainsetError:
        raise
    except Exception as err:
        said = f"{place}: {safe_text(str(err)) or type(err).__name__}"
        status = _status(err)
        if isinstance(err, FileNotFoundError | NotADirectoryError | IsADirectoryError) or (
            status == 404
        ):
            raise NotFound(f"{place} is not there ({type(err).__name__}); check the path") from err
        if isinstance(err, PermissionError) or status in (401, 403):
            raise AccessDenied(f"{said}; give this user's login permission on it") from err
        if isinstance(err, ImportError):
            raise MissingDriver(place.partition(":")[0], err.name or str(err)) from err
        if isinstance(err, _WRONG):
            raise InputError(f"{said}; the driver does not take this, mend the url") from err
        raise TransientError(f"{said}; run again") from err


def _status(err: Exception) -> int | None:
    """The HTTP status that an error of a cloud's library carries."""
    for name in ("status_code", "status", "code"):
        found = getattr(err, name, None)
        if isinstance(found, int):
            return found
        if isinstance(found, str) and found.isdecimal():
            return int(found)
    found = getattr(getattr(err, "response", None), "status_code", None)
    return found if isinstance(found, int) else None
