"""A reverse proxy that makes any S3 server as strict as Backblaze B2, and faulty on demand.

Strict: 501 on conditional writes; 400 on tagging, object ACLs and checksum headers; no chunked
uploads; Content-MD5 (or refused) with Object Lock; 2,048 bytes of name and metadata.
Faulty: 503 SlowDown, connections reset before the request counts, replies lost after it counted.
"""

from __future__ import annotations

import http.client
import random
import socket
import struct
import threading
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

_META = "x-amz-meta-"
_NAME_AND_METADATA_BYTES = 2048
_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}
_CHECKSUMS = ("x-amz-checksum-", "x-amz-sdk-checksum-algorithm", "x-amz-trailer")
_ACLS = ("x-amz-acl", "x-amz-grant-")


@dataclass
class Faults:
    """Shares (0 to 1) of requests that go wrong; drawn from ``seed``, so a test can repeat.

    ``methods``: only these. ``limit``: no more faults than that, over all kinds.
    """

    slow_down: float = 0.0
    retry_after: str | None = None
    reset: float = 0.0
    lost_reply: float = 0.0
    methods: frozenset[str] = frozenset({"GET", "HEAD", "PUT", "POST"})
    limit: int = 10**9
    seed: int = 0
    injected: int = 0
    _random: random.Random = field(init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def draw(self, method: str) -> str | None:
        with self._lock:
            if method not in self.methods or self.injected >= self.limit:
                return None
            number = self._random.random()
            for kind in ("slow_down", "reset", "lost_reply"):
                share = float(getattr(self, kind))
                if number < share:
                    self.injected += 1
                    return kind
                number -= share
            return None


class Request(NamedTuple):
    """One request as it arrived; ``status`` is the server's or ours, 0 when none was sent."""

    method: str
    path: str  # /bucket/key, decoded
    query: str
    size: int  # bytes of body
    status: int


class B2Strict:
    """A running proxy at ``url`` in front of ``backend``; ``requests`` is what it saw."""

    def __init__(self, backend: str) -> None:
        self.backend = urlsplit(backend).netloc
        self.faults = Faults()
        self.requests: list[Request] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def reset(self) -> None:
        """Forget the requests and inject no more faults."""
        self.faults = Faults()
        self.requests = []

    @property
    def counts(self) -> Counter[str]:
        """Requests by method."""
        return Counter(r.method for r in self.requests)

    def stored(self, part: str = "") -> Counter[str]:
        """How often each path that holds ``part`` was written with success (PUT, status 200)."""
        return Counter(
            r.path
            for r in self.requests
            if r.method == "PUT"
            and r.status == 200
            and part in r.path
            and "partNumber" not in r.query
        )


def refusal(method: str, path: str, query: str, headers: dict[str, str]) -> tuple[int, str] | None:
    """B2's status and message for a request that it does not take; header names in lower case."""
    writes = method in ("PUT", "POST")
    if writes and ("if-match" in headers or "if-none-match" in headers):
        return 501, "A header you provided implies functionality that is not implemented"
    if "x-amz-tagging" in headers or "tagging" in query.split("&"):
        return 400, "Unsupported header 'x-amz-tagging' received for this API call"
    for name in headers:
        if name.startswith(_CHECKSUMS) or (writes and name.startswith(_ACLS)):
            return 400, f"Unsupported header '{name}' received for this API call"
    if "chunked" in headers.get("transfer-encoding", "") or "aws-chunked" in headers.get(
        "content-encoding", ""
    ):
        return 411, "You must provide the Content-Length HTTP header"
    if any(n.startswith("x-amz-object-lock-") for n in headers) and "content-md5" not in headers:
        return 400, "Content-MD5 HTTP header is required for Put Object requests with Object Lock"
    key = path.lstrip("/").partition("/")[2]
    named = len(key.encode()) + sum(
        len(n) - len(_META) + len(v.encode()) for n, v in headers.items() if n.startswith(_META)
    )
    if writes and key and named > _NAME_AND_METADATA_BYTES:
        return 400, f"Name and metadata are {named} bytes, more than {_NAME_AND_METADATA_BYTES}"
    return None


class Answer(NamedTuple):
    status: int
    headers: list[tuple[str, str]]
    body: bytes


def _error(status: int, code: str, message: str, retry_after: str | None = None) -> Answer:
    text = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    headers = [("Content-Type", "application/xml")]
    if retry_after is not None:
        headers.append(("Retry-After", retry_after))
    return Answer(status, headers, text.encode())


_CODES = {400: "InvalidArgument", 411: "MissingContentLength", 501: "NotImplemented"}


def _handler(proxy: B2Strict) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        backend: http.client.HTTPConnection | None = None

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            path, _, query = self.path.partition("?")
            headers = {n.lower(): v for n, v in self.headers.items()}
            refused = refusal(self.command, unquote(path), query, headers)
            fault = None if refused else proxy.faults.draw(self.command)
            answer: Answer | None = None
            if refused:
                answer = _error(refused[0], _CODES[refused[0]], refused[1])
            elif fault == "slow_down":
                answer = _error(
                    503, "SlowDown", "Please reduce your request rate", proxy.faults.retry_after
                )
            elif fault != "reset":
                answer = self._forward(body)
            status = answer.status if answer else 0
            # Before the answer: who has it may count the requests.
            proxy.requests.append(Request(self.command, unquote(path), query, len(body), status))
            if answer is None or fault == "lost_reply":
                self._break_off()
            else:
                self._answer(answer)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any

        def _forward(self, body: bytes) -> Answer:
            # The Host header stays the proxy's: it is part of the signature.
            for fresh in (False, True):
                if self.backend is None or fresh:
                    self.backend = http.client.HTTPConnection(proxy.backend, timeout=120)
                try:
                    self.backend.putrequest(
                        self.command, self.path, skip_host=True, skip_accept_encoding=True
                    )
                    for name, value in self.headers.items():
                        if name.lower() not in ("connection", "expect"):
                            self.backend.putheader(name, value)
                    self.backend.endheaders(body or None)
                    reply = self.backend.getresponse()
                    return Answer(reply.status, reply.getheaders(), reply.read())
                except (http.client.HTTPException, OSError):
                    self.backend.close()  # the server had closed an idle connection
                    if fresh:
                        raise
            raise AssertionError("unreachable")

        def _answer(self, answer: Answer) -> None:
            self.send_response_only(answer.status)
            length = str(len(answer.body))
            for name, value in answer.headers:
                if name.lower() == "content-length" and self.command == "HEAD":
                    length = value
                elif name.lower() not in _HOP:
                    self.send_header(name, value)
            self.send_header("Content-Length", length)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body)

        def _break_off(self) -> None:
            # Linger 0: the peer sees a reset, not an orderly end.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True

        def finish(self) -> None:
            if self.backend is not None:
                self.backend.close()
            super().finish()

        def log_message(self, format: str, *args: object) -> None:
            return  # requests are recorded in proxy.requests

    return Handler
