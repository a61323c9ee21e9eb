"""The S3 of moto on a free port of loopback: the stand-in where no Ceph is installed."""

from __future__ import annotations

import logging

KEY_ID, SECRET = "testkey", "testsecret"


class MotoS3:
    """A running server at ``url``; it ends with the process at the latest. Checks no signatures."""

    def __init__(self) -> None:
        from moto.server import ThreadedMotoServer

        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._server.start()
        host, port = self._server.get_host_and_port()
        self.url = f"http://{host}:{port}"

    def stop(self) -> None:
        self._server.stop()
