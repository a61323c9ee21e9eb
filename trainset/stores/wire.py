"""HTTP/1.1 over one connection, as far as a store's data plane needs it.

``http.client`` parses a reply's headers as an e-mail, and sends head and body apart: that was half
the CPU of a small PUT. Here a request is one buffer, and a reply's headers are a plain dict.
Source: RFC 9112 (message syntax), RFC 9110 (field lines).
"""

from __future__ import annotations

import re
import select
import socket
import ssl
from collections.abc import Mapping

_HEAD = 2**16  # bytes of a reply's head, or of a line in its body, at most
_HEADERS = 200  # of a reply, at most
_JOIN = 2**18  # a body up to this size goes out in one buffer with its head
_BUFFER = 2**14  # of what comes in: small replies in one read
_FIELD = re.compile(r"^([^:\n]*):[ \t]*(.*?)[ \t\r]*$", re.MULTILINE)
_BEGIN, _END_OF_HEAD = b"HTTP/1.", re.compile(rb"\r?\n\r?\n")


class WireError(OSError):
    """What came back is no HTTP/1.1 reply, or ended too soon."""


class _Incoming:
    """What a socket brings: heads and lines first, then bytes straight into the reader's buffer."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._came = b""  # and is not taken yet
        # One call for a whole buffer, where the system can wait for it (TLS cannot).
        self._flags = 0 if isinstance(sock, ssl.SSLSocket) else socket.MSG_WAITALL

    def head(self) -> str:
        """The lines of a reply's head, without the empty one that ends it."""
        while (end := _END_OF_HEAD.search(self._came)) is None:
            if not self._came.startswith(_BEGIN[: len(self._came)]):
                break
            if not self._more():
                what = "inside its head" if self._came else "before it began"
                raise WireError(f"the reply ended {what}: the server closed the connection")
        if end is None or not self._came.startswith(_BEGIN):
            raise WireError(f"{self._came[:40]!r} is no reply of an HTTP server")
        return self._take(end.start(), end.end()).decode("latin-1")

    def line(self) -> bytes:
        """One line, without its end; what is left where the connection ended."""
        while (at := self._came.find(b"\n")) < 0 and self._more():
            pass
        at = len(self._came) if at < 0 else at
        return self._take(at, at + 1).rstrip(b"\r")

    def readinto(self, buffer: memoryview) -> int:
        """Fill ``buffer``; fewer bytes only where the connection ended."""
        got = min(len(self._came), len(buffer))
        if got:
            buffer[:got] = self._take(got, got)
        while got < len(buffer):
            found = self._sock.recv_into(buffer[got:], 0, self._flags)
            if not found:
                break
            got += found
        return got

    def _more(self) -> bool:
        if len(self._came) > _HEAD:
            raise WireError(f"a line or head of the reply is longer than {_HEAD} bytes")
        found = self._sock.recv(_BUFFER)
        self._came = self._came + found if self._came else found
        return bool(found)

    def _take(self, end: int, after: int) -> bytes:
        taken, self._came = self._came[:end], self._came[after:]
        return taken


class Reply:
    """A reply whose head has come.

    Attributes:
        headers: names in lower case; of a name that came twice, the last.
        keep: whether the connection can be used again once the body is read.
        left: bytes of the body still to come; None: in chunks, or until the connection ends.
    """

    def __init__(
        self, incoming: _Incoming, status: int, reason: str, headers: dict[str, str]
    ) -> None:
        self.status, self.reason, self.headers = status, reason, headers
        self.keep = headers.get("connection", "").lower() != "close"
        self._incoming = incoming
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
        got = self._incoming.readinto(buffer[:wanted])
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
            found = self._incoming.readinto(buffer[got : got + wanted])
            got += found
            if self._chunked:
                self._chunk -= found
                if found < wanted:
                    raise WireError("the reply ended inside a chunk")
                if not self._chunk:
                    self._incoming.line()
            elif found < wanted:
                self._ended = True
        return got

    def _next_chunk(self) -> bool:
        line = self._incoming.line()
        try:
            self._chunk = int(line.split(b";", 1)[0], 16)
        except ValueError:
            raise WireError(f"{line[:40]!r} stands where a chunk should begin") from None
        if self._chunk == 0:
            while self._incoming.line():
                pass  # trailers
            self._ended = True
        return not self._ended


class Connection:
    """One open connection; used by one thread at a time."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._incoming = _Incoming(sock)
        self._watch = select.poll()
        self._watch.register(sock, select.POLLIN)

    def close(self) -> None:
        self.sock.close()

    def has_ended(self) -> bool:
        """Whether an idle connection brings something: its end, or a reply nobody asked for."""
        return bool(self._watch.poll(0))

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
            first, _, lines = self._incoming.head().partition("\n")
            version, _, rest = first.partition(" ")
            code, _, reason = rest.strip().partition(" ")
            if not (code.isascii() and code.isdigit()):
                raise WireError(f"{first[:40]!r} is no reply of an HTTP server")
            fields = _FIELD.findall(lines)
            if len(fields) != (lines.count("\n") + 1 if lines else 0) or len(fields) > _HEADERS:
                raise WireError(f"{lines[:200]!r} are no headers of a reply, or more than can be")
            headers = {name.lower(): value for name, value in fields}
            if version == "HTTP/1.0":
                headers.setdefault("connection", "close")
            if int(code) >= 200:
                return Reply(self._incoming, int(code), reason, headers)
