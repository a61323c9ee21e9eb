"""HTTP as the fake speaks it: requests read whole, replies sent in one piece."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs

from services.lakefs_fake.errors import Invalid


class Fields(dict[str, Any]):
    """A JSON object of a request; a field that is not there makes the request invalid."""

    def __missing__(self, name: str) -> Any:
        raise Invalid(f"the request lacks {name!r}")


@dataclass
class Request:
    method: str
    path: str  # as sent: still quoted
    query_string: str
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    def __post_init__(self) -> None:
        self.query = parse_qs(self.query_string, keep_blank_values=True)

    def get(self, name: str, default: str = "") -> str:
        """The first value of a query parameter."""
        return self.query.get(name, [default])[0]

    def flag(self, name: str) -> bool:
        return self.get(name).lower() == "true"

    def json(self) -> Any:
        try:
            return json.loads(self.body or b"{}", object_hook=Fields)
        except ValueError as error:
            raise Invalid(f"the body is no JSON: {error}") from error


@dataclass
class Reply:
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def json_reply(status: int, value: Any, **headers: str) -> Reply:
    body = json.dumps(value, separators=(",", ":")).encode()
    return Reply(status, body, {"Content-Type": "application/json", **headers})


class Range:
    """Bytes ``start`` to before ``stop`` of ``size``; what a Range header asks for."""

    def __init__(self, header: str | None, size: int) -> None:
        self.size = size
        self.start, self.stop, self.partial = 0, size, False
        match = re.fullmatch(r"bytes=(\d*)-(\d*)", header or "")
        if match is None or match[0] == "bytes=-":
            return  # none, or one that servers pass over
        self.partial = True
        if match[1]:
            self.start = int(match[1])
            self.stop = min(int(match[2]) + 1, size) if match[2] else size
        else:
            self.start = max(0, size - int(match[2]))

    @property
    def satisfiable(self) -> bool:
        return not self.partial or self.start < self.stop

    @property
    def headers(self) -> dict[str, str]:
        if not self.partial:
            return {}
        return {"Content-Range": f"bytes {self.start}-{self.stop - 1}/{self.size}"}


class Handler(BaseHTTPRequestHandler):
    """Reads a request, has ``answer`` make the reply, keeps the connection."""

    protocol_version = "HTTP/1.1"
    server_version = "lakeFS-fake-for-tests"
    disable_nagle_algorithm = True
    wbufsize = 2**18  # head and body of a reply leave together

    def answer(self, request: Request) -> Reply:
        raise NotImplementedError

    def handle_any(self) -> None:
        path, _, query = self.path.partition("?")
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply = self.answer(Request(self.command, path, query, headers, self._body(headers)))
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if "Content-Length" not in reply.headers:
            self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any

    def _body(self, headers: Mapping[str, str]) -> bytes:
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body = self._chunks()
        else:
            body = self.rfile.read(int(headers.get("content-length", 0)))
        if headers.get("x-amz-content-sha256", "").startswith("STREAMING-"):
            body = _unwrap_aws_chunks(body)
        return body

    def _chunks(self) -> bytes:
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():  # trailers
            pass
        return b"".join(parts)

    def handle_expect_100(self) -> bool:
        going_on = super().handle_expect_100()
        self.wfile.flush()  # the client waits for it, up to a second
        return going_on

    def log_message(self, format: str, *args: object) -> None:
        return


def _unwrap_aws_chunks(body: bytes) -> bytes:
    """The payload of S3's own chunks; their signatures are not checked."""
    parts, at = [], 0
    while True:
        end = body.index(b"\r\n", at)
        size = int(body[at:end].split(b";")[0], 16)
        if size == 0:
            return b"".join(parts)
        parts.append(body[end + 2 : end + 2 + size])
        at = end + 2 + size + 2
