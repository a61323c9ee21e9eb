"""The one seam where the errors of urllib3 and the statuses of web servers become ours."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.utils import parsedate_to_datetime

from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    LocationValueError,
    NewConnectionError,
    SSLError,
)

from trainset.errors import (
    AccessDenied,
    InputError,
    NotFound,
    StoreReply,
    TrainsetError,
    TransientError,
)
from trainset.stores.retry import Throttled

LONGEST_PAUSE_S = 300.0  # a server that asks for more is asked again in the next run
ABSENT = (404, 410)
_PASSING = (408, 425, 500, 502, 503, 504, *range(520, 528))  # 52x: Cloudflare's


class Unreachable(TransientError):
    """No connection to the host: name, network, or nobody listens."""

    kind = "unreachable"


class NoSize(InputError):
    """The server does not say how long the file is, and it is too long to find out."""

    kind = "no-size"


class AskLater(Exception):
    """Carries an error past the retries: trying again in this run is of no use."""

    def __init__(self, error: TransientError) -> None:
        self.error = error
        super().__init__(str(error))


@contextmanager
def translated(place: str) -> Iterator[None]:
    """Turn urllib3's errors into ``trainset.errors``; ``place`` is the URL as it may be shown."""
    try:
        yield
    except SSLError as err:
        if "CERTIFICATE" in str(err).upper():
            raise InputError(f"{place}: {err}; check the host's name and certificate") from err
        raise TransientError(f"{place}: {err}; run again") from err
    except (NewConnectionError, ConnectTimeoutError) as err:
        raise Unreachable(f"{place}: {err}; check the host's name and the network") from err
    except (LocationValueError, UnicodeError) as err:
        raise InputError(f"{place}: {err}; mend the URL") from err
    except (HTTPError, OSError) as err:
        raise TransientError(f"{place}: {err}; run again") from err


def refusal(status: int, headers: Mapping[str, str], place: str) -> TrainsetError | AskLater:
    """The error for a reply that is no success."""
    error = _refusal(status, headers, place)
    told = error.error if isinstance(error, AskLater) else error
    told.reply = StoreReply(status)
    return error


def _refusal(status: int, headers: Mapping[str, str], place: str) -> TrainsetError | AskLater:
    said = f"{place}: the server answers {status}"
    if status in ABSENT:
        return NotFound(f"{said}, there is no such file; mend or remove its line")
    if status in (401, 403, 407):
        return AccessDenied(f"{said}; it wants a login, or a signature that has not expired")
    pause = _retry_after(headers.get("Retry-After", ""))
    if status == 429 or (status == 503 and pause is not None):
        if pause is not None and pause > LONGEST_PAUSE_S:
            return AskLater(
                TransientError(f"{said} and asks to wait {pause:.0f} s; run again then")
            )
        return Throttled(f"{said}, it asks for fewer requests", retry_after_s=pause)
    if status in _PASSING:
        return TransientError(f"{said}; run again")
    return InputError(f"{said}; open the URL in a browser to see why")


def _retry_after(text: str) -> float | None:
    """Seconds from now; the header holds seconds or a date."""
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return None
