"""What a lakeFS server's refusals mean, each with the next step. Pure: the SDK stays in ``client``.

The SDK's own exceptions become ``Reply`` there; here a status and a message become our errors.
"""

from __future__ import annotations

import json
from typing import NamedTuple

from trainset.errors import (
    AccessDenied,
    ConflictError,
    InputError,
    KeyRefused,
    NotFound,
    StoreFull,
    Throttled,
    TrainsetError,
    TransientError,
)


class Reply(NamedTuple):
    """A refusal: HTTP status, and the server's own message."""

    status: int
    message: str


class Taken(ConflictError):
    """A name (repository, branch, tag) that is there already, or a merge that both sides touch."""

    kind = "taken"


class NothingToDo(InputError):
    """The server has nothing to commit or to merge: an answer, not a failure."""

    kind = "nothing-to-do"


def read_message(body: str | bytes | None) -> str:
    """The message of a refusal's body (JSON with ``message``, else its text)."""
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else body or ""
    try:
        found = json.loads(text)
        return str(found["message"]) if isinstance(found, dict) and "message" in found else text
    except ValueError:
        return text


def explain(reply: Reply, *, what: str, endpoint: str) -> TrainsetError:
    """Our error for a refusal.

    Args:
        what: the call in words, e.g. ``merge run-7 into main``.
    """
    status, message = reply.status, reply.message.strip()[:400] or "no reason given"
    said = f"lakeFS at {endpoint} refuses to {what}: {message}"
    lower = message.lower()
    if status == 401:
        return KeyRefused(
            f"{said}; check LAKEFS_ACCESS_KEY_ID and LAKEFS_SECRET_ACCESS_KEY, or the block that "
            "the spec names"
        )
    if "bad path traversal" in lower or (status == 403 and "forbidden" in lower.split()[:1]):
        return AccessDenied(
            f"{said}; add the folder to blockstore.local.allowed_external_prefixes of the server, "
            "or give a home inside its block store"
        )
    if status == 403:
        return AccessDenied(f"{said}; give this key the right to do so, or use another")
    if status == 404:
        return NotFound(f"{said}; check the name with 'trainset log'")
    if status in (409, 412):
        return Taken(f"{said}; look at both sides and run again")
    if status == 400 and ("no changes" in lower or "nothing" in lower):
        return NothingToDo(f"{said}; there is nothing left to do")
    if status == 400 and "namespace" in lower:
        return InputError(
            f"{said}; a namespace serves one repository, also after that was deleted: set "
            "LAKEFS_STORAGE_NAMESPACE to another prefix"
        )
    if status in (420, 429):
        return Throttled(f"{said}; it asks for fewer requests, try again later")
    if status == 507 or "no space left" in lower:
        return StoreFull(f"{said}; make room in the block store, then run again")
    if status >= 500 or status == 0:
        return TransientError(f"{said} (status {status}); look into the server's log, try again")
    return InputError(f"{said} (status {status}); mend the name or value it complains about")


def unreachable(what: str, endpoint: str, reason: str) -> TransientError:
    """No answer at all."""
    return TransientError(
        f"lakeFS at {endpoint} gives no answer to: {what} ({reason[:300]}); check LAKEFS_ENDPOINT "
        "and that the server runs, then try again"
    )


def refused_value(what: str, reason: str) -> InputError:
    """A value that the SDK itself does not send."""
    return InputError(f"lakeFS cannot {what}: {reason[:400]}; mend this value")
