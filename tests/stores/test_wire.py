"""The HTTP that the fast sender speaks: what may come back, whole, in pieces, and broken."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainset.stores.wire import Connection, Reply, WireError


class Ends:
    """A connection and the server's end of it."""

    def __init__(self) -> None:
        here, self.server = socket.socketpair()
        self.connection = Connection(here)

    def close(self) -> None:
        self.connection.close()
        self.server.close()

    def answer(self, data: bytes, *, end: bool = True) -> Reply:
        self.server.sendall(data)
        if end:
            self.server.shutdown(socket.SHUT_WR)
        return self.connection.reply()


@pytest.fixture
def ends() -> Iterator[Ends]:
    pair = Ends()
    yield pair
    pair.close()


def test_a_reply_with_a_length_is_read_to_its_end_and_no_further(ends: Ends) -> None:
    reply = ends.answer(
        b'HTTP/1.1 200 OK\r\nETag: "x"\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 204 No\r\n\r\n'
    )
    assert (reply.status, reply.reason, reply.headers["etag"]) == (200, "OK", '"x"')
    assert (reply.read(3), reply.ended) == (b"hel", False)
    assert (reply.read(99), reply.ended, reply.keep) == (b"lo", True, True)
    assert (reply.read(1), ends.connection.reply().ended) == (b"", True)


def test_chunks_are_put_together(ends: Ends) -> None:
    reply = ends.answer(
        b"HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3;a=b\r\nabc\r\nA\r\n0123456789\r\n0\r\nT: x\r\n\r\n"
    )
    assert (reply.read(5), reply.ended) == (b"abc01", False)
    assert (reply.read(100), reply.ended, reply.keep) == (b"23456789", True, True)


def test_without_a_length_the_end_of_the_connection_ends_the_body(ends: Ends) -> None:
    reply = ends.answer(b"HTTP/1.1 200 OK\r\n\r\nabc")
    assert (reply.read(10), reply.ended, reply.keep) == (b"abc", True, False)


def test_interim_replies_are_passed_over(ends: Ends) -> None:
    reply = ends.answer(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 Done\r\n\r\n")
    assert (reply.status, reply.ended) == (204, True)


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
    ],
)
def test_a_server_that_closes_is_believed(ends: Ends, head: bytes) -> None:
    assert not ends.answer(head).keep


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nETag",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 300 + b"\r\n",
    ],
)
def test_what_is_no_reply_is_an_error_of_the_network(ends: Ends, data: bytes) -> None:
    with pytest.raises(WireError):
        ends.answer(data)


@pytest.mark.parametrize(
    "head", [b"Content-Length: 9\r\n\r\nabc", b"Transfer-Encoding: chunked\r\n\r\n9\r\nabc"]
)
def test_a_body_that_ends_too_soon_is_an_error(ends: Ends, head: bytes) -> None:
    reply = ends.answer(b"HTTP/1.1 200 OK\r\n" + head)
    with pytest.raises(WireError):
        reply.read(100)


def test_a_header_with_a_line_break_is_not_sent(ends: Ends) -> None:
    with pytest.raises(ValueError, match="line break"):
        ends.connection.send_head("PUT", "/a", {"x-amz-meta-a": "b\r\nx-evil: 1"})
    ends.connection.close()
    assert ends.server.recv(100) == b""


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=5), st.integers(1, 50))
def test_replies_read_as_http_client_reads_them(chunks: list[bytes], step: int) -> None:
    data = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: b\r\n\r\n"
    data += b"".join(b"%x\r\n%b\r\n" % (len(c), c) for c in chunks) + b"0\r\n\r\n"
    ours, theirs = Ends(), Ends()
    try:
        reply = ours.answer(data)
        theirs.server.sendall(data)
        other = http.client.HTTPResponse(theirs.connection.sock)
        other.begin()
        assert (reply.status, reply.headers["x-a"]) == (other.status, other.headers["x-a"])
        read = b""
        while not reply.ended:
            read += reply.read(step)
        assert read == other.read() == b"".join(chunks)
        other.close()
    finally:
        ours.close()
        theirs.close()
