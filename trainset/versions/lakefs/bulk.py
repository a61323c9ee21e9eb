"""Many links at once: ``link_physical_address`` over connections that stay open.

The SDK makes a model and three dictionaries of every call: a millisecond of CPU a link. Links are
what a run may make by the hundred thousand, so they alone go another way.
"""

from __future__ import annotations

import base64
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from urllib.parse import quote

from trainset.errors import InputError
from trainset.stores.connections import Pool
from trainset.stores.retry import Retrier
from trainset.stores.wire import Connection, Reply
from trainset.versions.base import MediaLink
from trainset.versions.lakefs.access import LakeFSAccess
from trainset.versions.lakefs.errors import Reply as Refusal
from trainset.versions.lakefs.errors import explain, read_message, unreachable

THREADS = 24
_A_JOB = 25  # links; a future for each would cost as much as the link
_REQUESTS_PER_S = 1e6  # the server's key-value store sets the pace
_REPLY = 2**16  # bytes


class LinkCalls:
    """Stages links on ``branch``; close it."""

    def __init__(self, access: LakeFSAccess, repository: str, branch: str) -> None:
        self._access = access
        self._target = f"/api/v1/repositories/{repository}/branches/{branch}/staging/backing?path="
        keys = f"{access.key_id}:{access.secret_key.get_secret_value()}".encode()
        self._headers = {
            "host": access.url.partition("://")[2],
            "authorization": f"Basic {base64.b64encode(keys).decode()}",
            "content-type": "application/json",
            "user-agent": "trainset",
        }
        self._pool = Pool(access.url)
        self._retrier = Retrier(attempts=5, base_s=0.5, cap_s=8.0, renew=self._pool.close)
        self._retrier.gate.set_requests_per_s(_REQUESTS_PER_S)

    def link_all(
        self, links: Iterable[MediaLink], refused: Callable[[MediaLink, InputError], None]
    ) -> Iterator[int]:
        """Stage every link, repeating what a passing fault broke off; gives how many are done.

        Args:
            refused: told of a link that the server does not take for what it says.
        Raises:
            TrainsetError: of the server as a whole. What was linked stays staged.
        """
        with ThreadPoolExecutor(THREADS, thread_name_prefix="link") as threads:
            under_way: deque[Future[int]] = deque()
            try:
                rest = iter(links)
                while some := tuple(islice(rest, _A_JOB)):
                    under_way.append(threads.submit(self._link_some, some, refused))
                    if len(under_way) > 2 * THREADS:
                        yield under_way.popleft().result()
                while under_way:
                    yield under_way.popleft().result()
            finally:
                for job in under_way:
                    job.cancel()

    def close(self) -> None:
        self._pool.close()

    def _link_some(
        self, links: tuple[MediaLink, ...], refused: Callable[[MediaLink, InputError], None]
    ) -> int:
        for link in links:
            try:
                self._retrier.call(lambda link=link: self._link(link))  # type: ignore[misc]
            except InputError as err:
                refused(link, err)
        return len(links)

    def _link(self, link: MediaLink) -> None:
        staged = {
            "staging": {"physical_address": link.address},
            "checksum": link.sha256,
            "size_bytes": link.size,
            "content_type": link.mime,
        }
        body = json.dumps(staged).encode()
        headers = {**self._headers, "content-length": str(len(body))}
        what = f"link {link.address} as {link.path}"
        target = self._target + quote(link.path, safe="")
        try:
            reply, text = self._exchange(target, headers, body)
        except OSError as err:
            raise unreachable(what, self._access.url, str(err)) from err
        if reply.status >= 300:
            said = Refusal(reply.status, read_message(text))
            raise explain(said, what=what, endpoint=self._access.url)

    def _exchange(self, target: str, headers: dict[str, str], body: bytes) -> tuple[Reply, bytes]:
        """One PUT; it may be repeated, so a connection that had grown old is no fault."""
        connection, used = self._pool.take()
        try:
            return self._ask(connection, target, headers, body)
        except OSError:
            connection.close()
            if not used:
                raise
        connection, _ = self._pool.take(fresh=True)
        try:
            return self._ask(connection, target, headers, body)
        except OSError:
            connection.close()
            raise

    def _ask(
        self, connection: Connection, target: str, headers: dict[str, str], body: bytes
    ) -> tuple[Reply, bytes]:
        connection.send_head("PUT", target, headers, body)
        reply, blocks = connection.reply(), []
        while not reply.ended:
            blocks.append(reply.read(_REPLY))
        if reply.keep:
            self._pool.give(connection)
        else:
            connection.close()
        return reply, b"".join(blocks)
