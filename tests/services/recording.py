"""A small HTTP server that keeps what it was sent, and answers as it is told."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

from pydantic import SecretStr

from trainset.model import Credentials


class Recorded(NamedTuple):
    """One request; header names in lower case, the query as pairs in order of their names."""

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    body: bytes


@dataclass
class Recording:
    """A running server; ``stop`` it.

    Attributes:
        status, headers, body: of every reply.
        missing: bytes that a reply announces and does not bring.
        close_after: whether the server closes each connection after a reply without saying so.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"ETag": '"e"'})
    body: bytes = b""
    missing: int = 0
    close_after: bool = False
    requests: list[Recorded] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def credentials(self) -> Credentials:
        return Credentials(key_id="id", application_key=SecretStr("secret"), endpoint=self.url)

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        return  # a client that hung up is no news


def _handler(recording: Recording) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def handle_any(self) -> None:
            parts = urlsplit(self.path)
            recording.requests.append(
                Recorded(
                    self.command,
                    parts.path,
                    sorted(parse_qsl(parts.query, keep_blank_values=True)),
                    {name.lower(): value for name, value in self.headers.items()},
                    self.rfile.read(int(self.headers.get("content-length", 0))),
                )
            )
            self.send_response(recording.status)
            for name, value in recording.headers.items():
                self.send_header(name, value)
            body = recording.body  # the test may set the next one as soon as the headers are out
            self.send_header("Content-Length", str(len(body) + recording.missing))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)
            if recording.close_after or recording.missing:
                self.close_connection = True

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any

        def log_message(self, format: str, *args: object) -> None:
            return  # requests are kept instead

    return Handler
