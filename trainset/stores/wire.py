"""HTTP/1.1 over one connection, as far as a store's data plane needs it.

``http.client`` parses a reply's headers as an e-mail, and sends head and body apart: that was half
the CPU of a small PUT. Here a request is one buffer, and a reply's headers are a plain dict.
Source: RFC 9112 (message syntax), RFC 9110 (field lines).
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping
from typing import BinaryIO, cast

_LINE = 2**16  # bytes of a status or header line, at most
_HEADERS = 200  # of a reply, at most
_JOIN = 2**18  # a body up to this size goes out in one buffer with its head
_BUFFER = 2**14  # of what comes in: small replies in one read


class WireError(OSError):
    """What came back is no HTTP/1.1 reply, or ended too soon."""


class Reply:
    """A reply whose head has come.

    Attributes:
        headers: names in lower case; of a name that came twice, the last.
        keep: whether the connection can be used again once the body is read.
        left: bytes of the body still to come; None: in chunks, or until the connection ends.
    """

    def __init__(self, stream: BinaryIO, status: int, reason: str, headers: dict[str, str]) -> None:
        self.status, self.reason, self.headers = status, reason, headers
        self.keep = headers.get("connection", "").lower() != "close"
        self._stream = stream
        self._chunked = headers.get("transfer-encoding", "").lower() == "chunked"
        self._chunk = 0  # bytes left of the current one
        self._ended = status in (204, 304)
        self.left: int | None = None
        if self._ended:
            self.left = 0
        elif not self._chunked and "content-length" in headers:
            self.left = int(headers["content-length"])
        elif not self._chunked:
            self.keep = False  # only the end of the connection ends it

    @property
    def ended(self) -> bool:
        """Whether all of the body has been read."""
        return self.left == 0 or self._ended

    def readinto(self, buffer: memoryview) -> int:
        """Fill ``buffer`` from the body; fewer bytes only at its end.

        Raises:
            OSError: the network, or the body ended before its length.
        """
        if self.left is None:
            return self._read_open(buffer)
        wanted = min(len(buffer), self.left)
        got = self._fill(buffer[:wanted])
        self.left -= got
        if got < wanted:
            raise WireError(f"the reply ended {self.left} bytes too soon")
        return got

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes; fewer only at the end."""
        if self.left is not None:
            size = min(size, self.left)
        buffer = bytearray(size)
        got = self.readinto(memoryview(buffer))
        return bytes(buffer[:got])

    def _read_open(self, buffer: memoryview) -> int:
        got = 0
        while got < len(buffer) and not self._ended:
            if self._chunked and not self._chunk and not self._next_chunk():
                break
            room = len(buffer) - got
            wanted = min(room, self._chunk) if self._chunked else room
            found = self._fill(buffer[got : got + wanted])
            got += found
            if self._chunked:
                self._chunk -= found
                if found < wanted:
                    raise WireError("the reply ended inside a chunk")
                if not self._chunk:
                    self._stream.readline(_LINE)
            elif found < wanted:
                self._ended = True
        return got

    def _next_chunk(self) -> bool:
        line = self._stream.readline(_LINE)
        try:
            self._chunk = int(line.split(b";", 1)[0], 16)
        except ValueError:
            raise WireError(f"{line[:40]!r} stands where a chunk should begin") from None
        if self._chunk == 0:
            _read_headers(self._stream)  # trailers
            self._ended = True
        return not self._ended

    def _fill(self, buffer: memoryview) -> int:
        got = 0
        while got < len(buffer):
            found = self._stream.readinto(buffer[got:])  # type: ignore[attr-defined]
            if not found:
                break
            got += found
        return got


class Connection:
    """One open connection; used by one thread at a time."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._stream = cast(BinaryIO, sock.makefile("rb", _BUFFER))

    def close(self) -> None:
        self._stream.close()
        self.sock.close()

    def send_head(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes = b""
    ) -> None:
        """Send a request's head, and a small body with it.

        Raises:
            ValueError: a header holds a line break or what is not Latin-1.
        """
        lines = [f"{method} {target} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items())]
        head = "\r\n".join(lines)
        if head.count("\n") != len(headers) or head.count("\r") != len(headers):
            raise ValueError("a header of the request holds a line break")
        data = f"{head}\r\n\r\n".encode("latin-1")
        if len(body) <= _JOIN:
            self.sock.sendall(data + body)
        else:
            self.sock.sendall(data)
            self.sock.sendall(body)

    def send(self, block: bytes | memoryview) -> None:
        self.sock.sendall(block)

    def reply(self) -> Reply:
        """The head of the reply; interim ones (100 Continue) are passed over.

        Raises:
            OSError: none came, or it is no HTTP/1.1.
        """
        while True:
            line = self._stream.readline(_LINE)
            if not line:
                raise WireError("the server closed the connection without a reply")
            version, _, rest = line.partition(b" ")
            code, _, reason = rest.strip().partition(b" ")
            if not version.startswith(b"HTTP/1.") or not code.isdigit():
                raise WireError(f"{line[:40]!r} is no reply of an HTTP server")
            headers = _read_headers(self._stream)
            if version == b"HTTP/1.0":
                headers.setdefault("connection", "close")
            if int(code) >= 200:
                return Reply(self._stream, int(code), reason.decode("latin-1"), headers)


def _read_headers(stream: Iterable[bytes]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for number, line in enumerate(stream):
        if line in (b"\r\n", b"\n"):
            return headers
        name, colon, value = line.partition(b":")
        if not colon or len(line) > _LINE or number >= _HEADERS:
            raise WireError(f"{line[:40]!r} is no header of a reply")
        headers[name.decode("latin-1").lower()] = value.strip().decode("latin-1")
    raise WireError("the reply ended inside its headers")
