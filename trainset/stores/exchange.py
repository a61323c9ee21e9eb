"""One HTTP request and its reply; a fault of the network is raised as botocore would raise it.

botocore is loaded when the first one comes: that costs as much as a hundred small files.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from trainset.stores.connections import Pool
from trainset.stores.sender import Body, Pace, split_body
from trainset.stores.wire import Connection, Reply

if TYPE_CHECKING:
    from botocore.exceptions import BotoCoreError

_ERROR_BYTES = 2**16  # of an error's text, at most


class Refused(Exception):
    """The store says no; ``response`` has its words where botocore's ``ClientError`` has them."""

    def __init__(self, operation_name: str, reply: Reply, text: bytes) -> None:
        self.operation_name = operation_name
        error = {"Code": str(reply.status), "Message": reply.reason, **_said(text)}
        meta = {"HTTPStatusCode": reply.status, "HTTPHeaders": reply.headers}
        self.response: dict[str, Any] = {"Error": error, "ResponseMetadata": meta}
        super().__init__(f"{operation_name}: {error['Code']} {error['Message']}")


class Redirected(Exception):
    """The store answers from another place; ``error`` is its reply."""

    def __init__(self, error: Refused, location: str) -> None:
        self.error, self.location = error, location
        super().__init__(location)


class _Fault(Exception):
    """No reply came. ``whole``: all of the request went out, so that it may have counted."""

    def __init__(self, error: Exception, *, whole: bool) -> None:
        self.error, self.whole = error, whole


class Exchange:
    """Sends requests over ``pool``; see ``__call__``."""

    def __init__(self, pool: Pool, endpoint: str, pace: Pace | None) -> None:
        self._pool, self._endpoint, self._pace = pool, endpoint, pace

    def __call__(
        self,
        operation: str,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: Body,
        *,
        again: bool,
    ) -> tuple[Connection, Reply]:
        """A good reply, its body still to be read, and the connection it comes over.

        Args:
            again: whether the request may be repeated although the store may have taken it. It is
                repeated once, when a connection that was used before gave no reply.
        Raises:
            Refused: the store says no.
            Redirected: the store answers from elsewhere.
            BotoCoreError: the network.
        """
        for fresh in (False, True):
            try:
                connection, used = self._pool.take(fresh=fresh)
            except OSError as err:
                raise _connect_error(err, self._endpoint) from err
            try:
                reply = self._try(connection, method, target, headers, body)
            except _Fault as fault:
                connection.close()
                if fresh or not used or (fault.whole and not again):
                    raise network_error(fault.error, self._endpoint) from fault.error
            except BaseException:
                connection.close()
                raise
            else:
                break
        if reply.status >= 300:
            self._refuse(operation, connection, reply)
        return connection, reply

    def _try(
        self,
        connection: Connection,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: Body,
    ) -> Reply:
        joined, blocks = split_body(body, self._pace)
        broken: OSError | None = None
        try:
            connection.send_head(method, target, headers, joined)
        except OSError as err:
            broken = err
        while broken is None and (block := next(blocks, None)) is not None:
            try:  # around the send alone: reading a file may fail too, which is not our fault
                connection.send(block)
            except OSError as err:
                broken = err
        try:
            # A server may refuse before it has read all, and close: its reply says why.
            return connection.reply()
        except OSError as err:
            raise _Fault(broken or err, whole=broken is None) from err

    def _refuse(self, operation: str, connection: Connection, reply: Reply) -> None:
        try:
            text = reply.read(_ERROR_BYTES)
        except OSError:
            text, reply.keep = b"", False
        keep(self._pool, connection, reply)
        error = Refused(operation, reply, text)
        if reply.status < 400:
            raise Redirected(error, reply.headers.get("location", "another endpoint"))
        raise error


def _said(text: bytes) -> dict[str, str]:
    """What the XML of a refusal says: ``Code``, ``Message`` and more; {} of a HEAD, or of HTML."""
    from xml.etree import ElementTree

    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError:
        return {}
    return {child.tag.rpartition("}")[2]: child.text or "" for child in root if root.tag == "Error"}


def keep(pool: Pool, connection: Connection, reply: Reply) -> None:
    """Give the connection back when nothing of its reply is left."""
    if reply.ended and reply.keep:
        pool.give(connection)
    else:
        connection.close()


def network_error(err: Exception, endpoint: str) -> BotoCoreError:
    """botocore's error for a connection that broke."""
    from botocore.exceptions import ConnectionClosedError, ReadTimeoutError

    return _as_botocore(err, endpoint, ReadTimeoutError, ConnectionClosedError)


def _connect_error(err: OSError, endpoint: str) -> BotoCoreError:
    from botocore.exceptions import ConnectTimeoutError, EndpointConnectionError

    return _as_botocore(err, endpoint, ConnectTimeoutError, EndpointConnectionError)


def _as_botocore(
    err: Exception, endpoint: str, late: type[BotoCoreError], other: type[BotoCoreError]
) -> BotoCoreError:
    from botocore.exceptions import SSLError

    kind = other
    if isinstance(err, ssl.SSLError):
        kind = SSLError
    elif isinstance(err, TimeoutError | BlockingIOError):  # the latter: the system's time limit
        kind = late
    found: BotoCoreError = kind(endpoint_url=endpoint, error=err)
    return found
