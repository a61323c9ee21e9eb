"""The fake as a server on loopback."""

from __future__ import annotations

import sys
import threading
from http.server import ThreadingHTTPServer

# The routes register themselves.
from services.lakefs_fake import (
    api,
    api_objects,  # noqa: F401
    api_refs,  # noqa: F401
    api_repositories,  # noqa: F401
    api_staging,  # noqa: F401
    gateway,
)
from services.lakefs_fake.blocks import Blocks
from services.lakefs_fake.lakefs import LakeFS
from services.lakefs_fake.wire import Handler, Reply, Request

KEY_ID, SECRET = "AKIAFAKEFORTESTS", "fake-for-tests-secret"
WARNING = (
    "lakeFS FAKE for tests, not lakeFS: it forgets every repository when it ends. "
    "Never point a dataset of yours at it."
)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512  # connections that many threads open at once

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):  # a client that hung up is no news
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class LakeFSFake:
    """A running fake at ``url``."""

    def __init__(self, blocks: Blocks, *, port: int = 0) -> None:
        lakefs = LakeFS(blocks, KEY_ID, SECRET)

        class Bound(Handler):
            def answer(self, request: Request) -> Reply:
                serve = api.answer if request.path.startswith(api.BASE + "/") else gateway.answer
                return serve(lakefs, request)

        self._server = _Server(("127.0.0.1", port), Bound)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        print(f"{self.url}: {WARNING}", file=sys.stderr, flush=True)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
