"""A web server with files that behave well, badly or oddly, and a record of what was asked."""

from __future__ import annotations

import hashlib
import re
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple


@dataclass
class WebFile:
    """One path. ``replies`` are (status, headers) that come first, each once.

    ``cut``: the connection ends after so many bytes of a body, once.
    """

    data: bytes = b""
    etag: str | None = "md5"  # None: the server names no version
    modified: float | None = 1_700_000_000.0
    head: int = 200  # status of HEAD
    ranges: bool = True
    length: bool = True  # False: no Content-Length
    redirect: str | None = None
    replies: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    cut: int | None = None

    def headers(self) -> dict[str, str]:
        found = {}
        if self.etag == "md5":
            found["ETag"] = f'"{hashlib.md5(self.data).hexdigest()}"'
        elif self.etag:
            found["ETag"] = self.etag
        if self.modified is not None:
            found["Last-Modified"] = formatdate(self.modified, usegmt=True)
        return found


class Asked(NamedTuple):
    method: str
    path: str  # with its query
    headers: dict[str, str]  # names in lower case


class Web:
    """A running server at ``url``; ``files`` by path, with the query if there is one."""

    def __init__(self) -> None:
        self.files: dict[str, WebFile] = {}
        self.asked: list[Asked] = []
        self.lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        self.url = f"http://{self.host}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def counts(self) -> Counter[str]:
        """Requests by method."""
        return Counter(asked.method for asked in self.asked)


def _handler(web: Web) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def log_message(self, *args: object) -> None:
            return

        def _answer(self, *, body: bool) -> None:
            asked = {name.lower(): value for name, value in self.headers.items()}
            with web.lock:
                web.asked.append(Asked(self.command, self.path, asked))
                file = web.files.get(self.path)
                first = file.replies.pop(0) if file is not None and file.replies else None
            if file is None:
                return self._reply(404, {})
            if first is not None:
                return self._reply(*first)
            if file.redirect is not None:
                return self._reply(302, {"Location": file.redirect})
            if not body and file.head != 200:
                return self._reply(file.head, {})
            self._send(file, asked, body)

        def _send(self, file: WebFile, asked: Mapping[str, str], body: bool) -> None:
            headers, data, status = file.headers(), file.data, 200
            match = re.fullmatch(r"bytes=(\d+)-(\d*)", asked.get("range", ""))
            whole = "if-range" in asked and asked["if-range"] not in headers.values()
            if match and file.ranges and not whole:
                start, size = int(match[1]), len(data)
                if start >= size:
                    return self._reply(416, {"Content-Range": f"bytes */{size}"})
                data, status = data[start : int(match[2] or size) + 1], 206
                headers["Content-Range"] = f"bytes {start}-{start + len(data) - 1}/{size}"
            self._reply(status, headers, data if body else b"", file, len(data))

        def _reply(
            self,
            status: int,
            headers: Mapping[str, str],
            data: bytes = b"",
            file: WebFile | None = None,
            length: int = 0,
        ) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if file is None or file.length:
                self.send_header("Content-Length", str(length))
            else:
                self.close_connection = True
                self.send_header("Connection", "close")
            self.end_headers()
            with web.lock:
                cut = file.cut if file is not None and len(data) > (file.cut or 0) else None
                if file is not None and cut is not None:
                    file.cut = None
            try:
                self.wfile.write(data[:cut])
            except ConnectionError:
                self.close_connection = True  # who asked has seen enough
            if cut is not None:
                self.close_connection = True

    return Handler
