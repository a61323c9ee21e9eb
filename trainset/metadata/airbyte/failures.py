"""A connector's failures as our errors: what kind they are, and what to do next. Pure."""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping
from typing import Any

from trainset.errors import AccessDenied, InputError, TrainsetError, TransientError

_NOTHING = "Something went wrong in the connector"  # the CDK's word where it has none
_MOST = 1500  # characters of a foreign text in an error
_DENIED = re.compile(
    r"\b(401|403|unauthori[sz]ed|forbidden|access denied|permission|credentials?|authenticat\w+"
    r"|invalid (api )?(token|key))\b"
)
_PASSING = re.compile(
    r"\b(429|50[0234]|too many requests|rate limit\w*|timed out|timeout|max retries"
    r"|unable to connect|connection (refused|reset|aborted)|temporarily unavailable|name resolution"
    r"|internal server error)\b"
)


def failure_of(error: Mapping[str, Any], connector: str) -> TrainsetError:
    """The error of a ``TRACE`` message whose type is ERROR.

    Args:
        error: with texts in which secrets are masked already.
    """
    said = str(error.get("message") or "").strip()
    inside = str(error.get("internal_message") or "").strip()
    if said.startswith(_NOTHING) and inside:
        said, inside = inside, ""
    text = f"{said} ({inside})" if inside and inside not in said else said
    return failure(text or "it failed and did not say why", error.get("failure_type"), connector)


def failure(text: str, kind: Any, connector: str) -> TrainsetError:
    """An error out of what a connector says.

    Args:
        kind: the protocol's failure type (config_error, transient_error, system_error), or None.
    """
    short = " ".join(text.split())
    if len(short) > _MOST:
        short = f"{short[: _MOST // 2]} … {short[-_MOST // 2 :]}"
    lower = text.lower()
    passing = _PASSING.search(lower) is not None
    if kind == "transient_error" or (kind != "config_error" and passing):
        return TransientError(f"{connector}: {short}; try again when the source can be reached")
    if _DENIED.search(lower):
        return AccessDenied(
            f"{connector}: {short}; check the secrets of its configuration, and what they may read"
        )
    if kind == "config_error":
        return InputError(f"{connector}: {short}; mend its configuration")
    return InputError(f"{connector} failed: {short}; mend what it names, or try another version")


def ended(status: int, complaints: str, connector: str) -> TrainsetError | None:
    """The error of an exit status that no message explains; None for 0.

    Args:
        complaints: the end of its stderr, masked.
    """
    if status == 0:
        return None
    if status < 0:
        try:
            name = signal.Signals(-status).name
        except ValueError:
            name = str(-status)
        why = " (was memory short?)" if name == "SIGKILL" else ""
        return TransientError(f"{connector} was ended by signal {name}{why}; try again")
    last = complaints.strip() or "it said nothing on stderr"
    return failure(f"exit status {status}: {last}", None, connector)
