"""A reverse proxy that makes any S3 server as strict as Backblaze B2, and faulty on demand.

Strict: see ``b2_rules``. Faulty: see ``b2_faults.Faults``. To run it before a server of one's own:

    python tests/services/b2_strict.py http://127.0.0.1:8080 --requests-per-s 500 --slow-down 0.3
"""

from __future__ import annotations

import argparse
import http.client
import select
import socket
import struct
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import fields
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from services.b2_faults import Faults, flipped
from services.b2_rules import Answer, error, refusal, refused

__all__ = ["B2Strict", "Faults", "Request", "refusal"]

_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}
_BLOCK = 2**18  # bytes; larger bodies stream through in such blocks
_CANNED = {
    "internal_error": error(500, "InternalError", "An internal error occurred. Please retry"),
    "cap_exceeded": error(403, "AccessDenied", "storage_cap_exceeded: the storage cap is reached"),
}


class Request(NamedTuple):
    """One request as it arrived; ``status`` is the server's or ours, 0 when none was sent."""

    method: str
    path: str  # /bucket/key, decoded
    query: str
    size: int  # bytes of body
    status: int


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512  # connections that many threads open at once

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):  # a client that hung up is no news
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class B2Strict:
    """A running proxy at ``url`` in front of ``backend``; ``requests`` is what it saw."""

    def __init__(self, backend: str, *, port: int = 0) -> None:
        self.backend = urlsplit(backend).netloc
        self.faults = Faults()
        self.requests: list[Request] = []
        self._server = _Server(("127.0.0.1", port), _handler(self))
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


def _handler(proxy: B2Strict) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = _BLOCK  # head and body of a reply leave together
        backend: http.client.HTTPConnection | None = None

        def handle_any(self) -> None:
            faults = proxy.faults
            self.left = size = int(self.headers.get("content-length", 0))
            path, _, query = self.path.partition("?")
            headers = {n.lower(): v for n, v in self.headers.items()}
            answer: Answer | http.client.HTTPResponse | None
            answer = refused(self.command, unquote(path), query, headers)
            fault = None if answer else faults.draw(self.command, query, size)
            if faults.slow:
                time.sleep(faults.slow)
            if fault in ("slow_down", "limited"):
                wait = faults.retry_after or ("1" if fault == "limited" else None)
                answer = error(503, "SlowDown", "Please reduce your request rate", wait)
            elif fault in _CANNED:
                answer = _CANNED[fault]
            elif answer is None and fault != "reset":
                answer = self._forward(size, flip=fault == "flip")
            broken = fault in ("reset", "lost_reply", "lost_complete")
            if not broken:
                for _ in self._body():  # of a request that was refused unread
                    pass
            # Before the answer: who has it may count the requests.
            status = answer.status if answer else 0
            proxy.requests.append(Request(self.command, unquote(path), query, size, status))
            if isinstance(answer, http.client.HTTPResponse) and broken:
                answer.read()
            if answer is None or broken:
                self._break_off()
            else:
                self._answer(answer)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any

        def _body(self) -> Iterator[bytes]:
            """What was not read yet of the request's body, in blocks."""
            while self.left > 0:
                block = self.rfile.read(min(self.left, _BLOCK))
                if not block:
                    raise ConnectionResetError("the client ended in the middle of a body")
                self.left -= len(block)
                yield block

        def _forward(self, size: int, *, flip: bool) -> http.client.HTTPResponse:
            whole = b"".join(self._body()) if flip or size <= _BLOCK else None
            if whole is not None and flip:
                whole = flipped(whole)
            # A body that streams cannot be sent twice, so its connection must be alive.
            if self.backend is not None and (whole is None or _closed(self.backend)):
                self.backend.close()
                self.backend = None
            if self.backend is None:
                self.backend = http.client.HTTPConnection(proxy.backend, timeout=120)
            # The Host header stays the proxy's: it is part of the signature.
            self.backend.putrequest(
                self.command, self.path, skip_host=True, skip_accept_encoding=True
            )
            for name, value in self.headers.items():
                if name.lower() not in ("connection", "expect"):
                    self.backend.putheader(name, value)
            self.backend.endheaders(whole or None)
            if whole is None:
                for block in self._body():
                    self.backend.send(block)
            return self.backend.getresponse()

        def _answer(self, answer: Answer | http.client.HTTPResponse) -> None:
            if isinstance(answer, Answer):
                headers, blocks, length = answer.headers, iter([answer.body]), len(answer.body)
            else:
                headers = answer.getheaders()
                known = answer.getheader("content-length")
                if self.command != "HEAD" and (known is None or int(known) <= _BLOCK):
                    body = answer.read()
                    blocks, length = iter([body]), len(body)
                else:
                    blocks, length = iter(lambda: answer.read(_BLOCK), b""), int(known or 0)
            self.send_response_only(answer.status)
            for name, value in headers:
                if name.lower() not in _HOP:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            for block in blocks:
                if self.command != "HEAD":
                    self.wfile.write(block)

        def _break_off(self) -> None:
            # Linger 0: the peer sees a reset, not an orderly end.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True

        def finish(self) -> None:
            if self.backend is not None:
                self.backend.close()
            super().finish()

        def handle_expect_100(self) -> bool:
            going_on = super().handle_expect_100()
            self.wfile.flush()  # the client waits for it, up to a second
            return going_on

        def log_message(self, format: str, *args: object) -> None:
            return  # requests are recorded in proxy.requests

    return Handler


def _closed(connection: http.client.HTTPConnection) -> bool:
    """Whether the server has closed an idle connection (its end can be read)."""
    if connection.sock is None:
        return True
    watch = select.poll()
    watch.register(connection.sock, select.POLLIN)
    return bool(watch.poll(0))


def main() -> None:
    """Run the proxy until it is interrupted."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("backend", help="URL of the S3 server behind")
    parser.add_argument("--port", type=int, default=0, help="of the proxy; 0: a free one")
    named = {f.name: f for f in fields(Faults) if f.init and not f.name.startswith("_")}
    for name in ("methods", "injected", "limited"):
        del named[name]
    for name, option in named.items():
        kind = {"retry_after": str, "limit": int, "seed": int}.get(name, float)
        parser.add_argument(
            f"--{name.replace('_', '-')}", type=kind, default=option.default, metavar="N"
        )
    given = vars(parser.parse_args())
    proxy = B2Strict(given["backend"], port=given["port"])
    proxy.faults = Faults(**{name: given[name] for name in named})
    print(proxy.url, flush=True)
    try:
        while True:
            time.sleep(60)
            proxy.requests.clear()  # nobody counts them here
    except KeyboardInterrupt:
        proxy.stop()


if __name__ == "__main__":
    main()
