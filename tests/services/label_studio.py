"""A small Label Studio: projects and tasks in pages, both kinds of token, and a record of asks."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

LEGACY = "0123456789abcdef0123456789abcdef01234567"
PERSONAL = "aGVhZGVy.cGF5bG9hZA.c2lnbmF0dXJl"
_LIGHT = ("id", "data", "project", "updated_at", "total_annotations")


class LabelStudio:
    """A running server at ``url``.

    Attributes:
        tasks: by project and id, as the export has them.
        page_cap: no page is longer, whatever is asked for.
        asked: path and query of every request.
        lasts: how many requests an access token is good for.
        replies: statuses that come first, each once.
        knows_filters: else every task comes, as from old servers.
        before_page: called with the number of each full page before it is made.
    """

    def __init__(self) -> None:
        self.tasks: dict[int, dict[int, dict[str, Any]]] = {}
        self.page_cap = 1000
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.lasts = 1000
        self.replies: list[int] = []
        self.knows_filters = True
        self.before_page: Any = None
        self.access_tokens = 0
        self._left = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def add(
        self, project: int, task: int, updated_at: str | None = "2026-01-01", **parts: Any
    ) -> None:
        """Put a task in, or in place of one."""
        result = {
            "id": "r1",
            "type": "choices",
            "value": {"choices": ["cat"]},
            "from_name": "c",
            "to_name": "image",
        }
        self.tasks.setdefault(project, {})[task] = {
            "id": task,
            "project": project,
            "data": {"image": f"s3://b/{task}.jpg"},
            "annotations": [{"id": task * 10, "result": [result]}],
            "predictions": [],
            "updated_at": updated_at,
            "total_annotations": 1,
            **parts,
        }

    def full_reads(self) -> list[dict[str, str]]:
        """Queries of the requests for whole tasks."""
        return [query for _, query in self.asked if query.get("fields") == "all"]

    def answer(self, method: str, path: str, query: dict[str, str], auth: str, body: bytes) -> Any:
        """Status and JSON."""
        self.asked.append((path, query))
        if self.replies:
            return self.replies.pop(0), {}
        if path == "/api/token/refresh" and method == "POST":
            if json.loads(body).get("refresh") != PERSONAL:
                return 401, {"detail": "Token is invalid"}
            self.access_tokens += 1
            self._left = self.lasts
            return 200, {"access": f"access-{self.access_tokens}"}
        if auth.startswith("Bearer ") and auth == f"Bearer access-{self.access_tokens}":
            self._left -= 1
            if self._left < 0:
                return 401, {"detail": "Token is expired"}
        elif auth != f"Token {LEGACY}":
            return 401, {"detail": "Invalid token"}
        if path == "/api/projects":
            projects = [{"id": i, "title": f"p{i}"} for i in self.tasks]
            page = self._page(projects, query)
            if page is None:
                return 404, {"detail": "Invalid page"}
            return 200, {"count": len(projects), "next": None, "results": page}
        if path == "/api/tasks" and int(query["project"]) in self.tasks:
            return self._tasks(query)
        return 404, {"detail": "Not found"}

    def _tasks(self, query: dict[str, str]) -> Any:
        full = query.get("fields") == "all"
        if full and self.before_page is not None:
            self.before_page(int(query["page"]))
        asked = json.loads(query["query"])
        assert asked["ordering"] == ["tasks:id"]
        tasks = [task for _, task in sorted(self.tasks[int(query["project"])].items())]
        for item in asked.get("filters", {}).get("items", ()) if self.knows_filters else ():
            assert (item["filter"], item["operator"]) == ("filter:tasks:id", "in")
            low, high = item["value"]["min"], item["value"]["max"]
            tasks = [task for task in tasks if low <= task["id"] <= high]
        page = self._page(tasks, query)
        if page is None:
            return 404, {"detail": "Invalid page"}
        if not full:
            page = [{name: task[name] for name in _LIGHT} for task in page]
        return 200, {"total": len(tasks), "tasks": page}

    def _page(self, items: list[Any], query: dict[str, str]) -> list[Any] | None:
        size = min(int(query["page_size"]), self.page_cap)
        start = (int(query["page"]) - 1) * size
        return items[start : start + size] if start < len(items) or start == 0 else None


def _handler(studio: LabelStudio) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length)
            parts = urlsplit(self.path)
            auth = self.headers.get("Authorization", "")
            query = dict(parse_qsl(parts.query))
            status, found = studio.answer(self.command, parts.path, query, auth, body)
            data = json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            if status == 302:
                self.send_header("Location", "http://127.0.0.1:9/elsewhere")
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: object) -> None:
            pass

    return Handler
