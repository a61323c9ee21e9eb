"""Keep-alive connections to one endpoint, reused by whichever thread comes next."""

from __future__ import annotations

import os
import socket
import ssl
import struct
from collections import deque
from functools import cached_property
from urllib.parse import urlsplit

from trainset.stores.wire import Connection

CONNECT_S, READ_S = 10.0, 60.0
_IDLE = 64  # connections kept open at most


class Pool:
    """Connections to ``endpoint``; taken by one thread at a time, given back when a reply is read.

    The latest one comes first, so those that are not needed grow old and are closed by the server.
    """

    def __init__(self, endpoint: str) -> None:
        parts = urlsplit(endpoint)
        self._secure, self._host = parts.scheme == "https", str(parts.hostname)
        self._port = parts.port or (443 if self._secure else 80)
        self._idle: deque[Connection] = deque(maxlen=_IDLE)
        self._owner = os.getpid()

    def take(self, *, fresh: bool = False) -> tuple[Connection, bool]:
        """A connection, and whether it was used before.

        Raises:
            OSError: no connection can be made.
        """
        if self._owner != os.getpid():  # forked: the sockets are our parent's
            self._idle, self._owner = deque(maxlen=_IDLE), os.getpid()
        while not fresh:
            try:
                connection = self._idle.pop()
            except IndexError:
                break
            if not connection.has_ended():
                return connection, True
            connection.close()
        return self._connect(), False

    def give(self, connection: Connection) -> None:
        """Keep a connection whose reply has been read to its end."""
        if self._owner == os.getpid():
            self._idle.append(connection)

    def close(self) -> None:
        """Close what is idle."""
        while self._idle:
            self._idle.pop().close()

    def _connect(self) -> Connection:
        sock = socket.create_connection((self._host, self._port), CONNECT_S)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if self._secure:
                sock = self._context.wrap_socket(sock, server_hostname=self._host)
                sock.settimeout(READ_S)
            else:
                _limit_waiting(sock)
            return Connection(sock)
        except BaseException:
            sock.close()
            raise

    @cached_property
    def _context(self) -> ssl.SSLContext:
        """Trusts what boto3 trusts: AWS_CA_BUNDLE alone, else the usual authorities."""
        bundle = os.environ.get("AWS_CA_BUNDLE")
        context = ssl.create_default_context(cafile=bundle)
        if not bundle:
            from botocore.httpsession import get_cert_path

            context.load_verify_locations(cafile=get_cert_path(True))
        return context


def _limit_waiting(sock: socket.socket) -> None:
    """Let the system end a wait: with a timeout of its own, Python polls before every read."""
    limit = struct.pack("ll", int(READ_S), 0)
    sock.settimeout(None)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
