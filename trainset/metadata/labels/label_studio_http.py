"""One Label Studio server over HTTP: who asks, pages of a list, and what its refusals mean.

Source: https://api.labelstud.io (Data Manager filters: https://labelstud.io/sdk/data_manager.html)
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from trainset.errors import AccessDenied, InputError, NotFound
from trainset.stores.http_client import HttpClient, done_with, read
from trainset.stores.http_errors import refusal, translated
from trainset.stores.urls import has_secret, parse_url, safe_url

_JWT = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+")  # a personal access token is one, a legacy one is not


class LabelStudioServer:
    """Asks one server; not for threads.

    A legacy token is sent as it is. A personal access token is only good for getting access
    tokens, which last minutes: one is fetched at first and again when the server refuses it.

    Args:
        url: where the server is, up to and without ``/api``.
        token: of a user who sees the projects; never shown.
    Raises:
        InputError: the address is none, or has a secret in it.
    """

    def __init__(self, url: str, token: str, *, client: HttpClient | None = None) -> None:
        if "@" in url.partition("://")[2].partition("/")[0] or has_secret(url):
            raise InputError(
                f"{safe_url(url)}: the address has a secret in it; give the token by itself"
            )
        self.url = parse_url(url).request.rstrip("/")
        self._token = token.strip()
        self._access: str | None = None
        self._client = client or HttpClient()

    def get(self, path: str, **query: Any) -> Any:
        """The JSON at ``path``.

        Raises:
            AccessDenied: the token is refused.
            NotFound: there is nothing there.
            TransientError: the server cannot answer now; it was asked several times.
            InputError: the reply is no JSON.
        """
        status, found = self._ask(path, query)
        if status == 401 and self._is_personal:
            self._access = None
            status, found = self._ask(path, query)
        place = f"{self.url}{path}"
        if status in (401, 403):
            raise AccessDenied(
                f"{place}: Label Studio refuses the token ({status}); make a new one under "
                "Account & Settings, and check that its user sees the project"
            )
        if status == 404:
            raise NotFound(f"{place}: Label Studio has nothing there; mend the address or project")
        return found

    def pages(self, path: str, name: str, *, page_size: int, **query: Any) -> Iterator[list[Any]]:
        """The lists under ``name`` in the pages at ``path``, until there are no more."""
        total: int | None = None
        seen = page = 0
        while total is None or seen < total:
            page += 1
            try:
                found = self.get(path, **query, page=page, page_size=page_size)
            except NotFound:
                if page == 1:
                    raise
                return
            items = found.get(name) if isinstance(found, dict) else found
            if not isinstance(items, list):
                raise InputError(
                    f"{self.url}{path}: the reply has no list {name!r}; is this a Label Studio?"
                )
            if not items:
                return
            yield items
            seen += len(items)
            if not isinstance(found, dict):
                return  # an old server gives all at once
            count = found.get("total", found.get("count"))
            total = count if isinstance(count, int) else None

    @property
    def _is_personal(self) -> bool:
        return _JWT.fullmatch(self._token) is not None

    def _ask(self, path: str, query: dict[str, Any]) -> tuple[int, Any]:
        if not self._is_personal:
            return self._send("GET", path, query, {"authorization": f"Token {self._token}"})
        if self._access is None:
            body = json.dumps({"refresh": self._token}).encode()
            status, found = self._send("POST", "/api/token/refresh", {}, {}, body=body)
            access = found.get("access") if isinstance(found, dict) else None
            if status != 200 or not isinstance(access, str):
                return (status if status != 200 else 401), None
            self._access = access
        return self._send("GET", path, query, {"authorization": f"Bearer {self._access}"})

    def _send(
        self,
        method: str,
        path: str,
        query: dict[str, Any],
        headers: dict[str, str],
        *,
        body: bytes | None = None,
    ) -> tuple[int, Any]:
        """Status and JSON of one request; only 200, 401, 403 and 404 come back."""
        url = parse_url(f"{self.url}{path}" + (f"?{urlencode(query)}" if query else ""))
        place = f"{self.url}{path}"
        headers = {**headers, "Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"

        def once() -> tuple[int, bytes]:
            reply = self._client.send(method, url, headers, body=body)
            try:
                if reply.status in (401, 403, 404):
                    return reply.status, b"null"
                if reply.status != 200:
                    raise refusal(reply.status, reply.headers, place)
                with translated(place):
                    return reply.status, read(reply, None)
            finally:
                done_with(reply)

        status, data = self._client.call(url, once)
        try:
            return status, json.loads(data)
        except ValueError as err:
            raise InputError(
                f"{place}: the reply is no JSON ({err}); is this the address of a Label Studio?"
            ) from err
