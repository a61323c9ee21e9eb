"""The API under /api/v1: routes, the user's keys, errors as JSON, pages."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from services.lakefs_fake.errors import Invalid, NotServed, Refused, Unauthorized
from services.lakefs_fake.lakefs import LakeFS
from services.lakefs_fake.tree import Listed, page
from services.lakefs_fake.wire import Reply, Request, json_reply

BASE = "/api/v1"
_MAX_PER_PAGE = 1000
_DEFAULT_PER_PAGE = 100

Action = Callable[..., Reply]
_routes: dict[tuple[str, int], list[tuple[list[str], Action]]] = {}


def route(method: str, template: str) -> Callable[[Action], Action]:
    """Register a function for a path; parts in braces become its keyword arguments."""

    def register(action: Action) -> Action:
        parts = template.split("/")
        _routes.setdefault((method, len(parts)), []).append((parts, action))
        return action

    return register


def answer(lakefs: LakeFS, request: Request) -> Reply:
    path = request.path.removeprefix(BASE)
    try:
        if path == "/healthcheck":
            return Reply(204)
        _authenticate(lakefs, request)
        action, names = _find(request.method, path)
        return action(lakefs, request, **names)
    except Refused as error:
        return json_reply(error.status, {"message": str(error)})


def _find(method: str, path: str) -> tuple[Action, dict[str, str]]:
    given = path.split("/")
    for parts, action in _routes.get((method, len(given)), []):
        names = {}
        for part, value in zip(parts, given, strict=True):
            if part.startswith("{"):
                names[part.strip("{}")] = unquote(value)
            elif part != value:
                break
        else:
            return action, names
    raise NotServed(
        f"{method} {path}: the lakeFS fake for tests does not serve this; a server does"
    )


def _authenticate(lakefs: LakeFS, request: Request) -> None:
    keys = f"{lakefs.key_id}:{lakefs.secret}".encode()
    if request.headers.get("authorization") != f"Basic {base64.b64encode(keys).decode()}":
        raise Unauthorized("error authenticating request")


def list_page(
    request: Request,
    first_from: Callable[[str], str | None],
    render: Callable[[Listed], dict[str, Any]],
) -> Reply:
    """One page of names as the query asks for it: prefix, after, delimiter, amount."""
    found, more = page(
        first_from,
        request.get("prefix"),
        request.get("after"),
        request.get("delimiter"),
        amount_of(request),
    )
    return page_reply([render(item) for item in found], more, found[-1].name if found else "")


def page_reply(results: list[dict[str, Any]], more: bool, last: str) -> Reply:
    pagination = {
        "has_more": more,
        "next_offset": last if more else "",
        "results": len(results),
        "max_per_page": _MAX_PER_PAGE,
    }
    return json_reply(200, {"pagination": pagination, "results": results})


def amount_of(request: Request) -> int:
    try:
        amount = int(request.get("amount", str(_DEFAULT_PER_PAGE)))
    except ValueError as error:
        raise Invalid(f"amount {request.get('amount')!r} is no number") from error
    if not -1 <= amount <= _MAX_PER_PAGE:
        raise Invalid(f"amount {amount}: at most {_MAX_PER_PAGE}")
    return amount if amount > 0 else _DEFAULT_PER_PAGE
