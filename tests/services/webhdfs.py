"""A folder served by the REST protocol of HDFS (LISTSTATUS, GETFILESTATUS, OPEN)."""

from __future__ import annotations

import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

_ROOT = "/webhdfs/v1"


class WebHdfs:
    """A running name node at ``host`` that is its only data node; ``faults`` requests get a 503."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.faults = 0
        self.forbidden: set[str] = set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _status(path: Path, suffix: str) -> dict[str, Any]:
    found = path.stat()
    return {
        "pathSuffix": suffix,
        "type": "DIRECTORY" if path.is_dir() else "FILE",
        "length": 0 if path.is_dir() else found.st_size,
        "modificationTime": found.st_mtime_ns // 10**6,
    }


def _handler(server: WebHdfs) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: object) -> None:
            return

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            name = unquote(parts.path).removeprefix(_ROOT).strip("/")
            path = server.folder / name
            query = {key: values[0] for key, values in parse_qs(parts.query).items()}
            if server.faults:
                server.faults -= 1
                return self._send(503, b"busy")
            if name in server.forbidden:
                return self._error(403, "AccessControlException", name)
            if not path.exists():
                return self._error(404, "FileNotFoundException", name)
            if query["op"] == "LISTSTATUS":
                names = sorted(os.listdir(path)) if path.is_dir() else [""]
                found = [_status(path / n, n) for n in names]
                return self._json({"FileStatuses": {"FileStatus": found}})
            if query["op"] == "GETFILESTATUS":
                return self._json({"FileStatus": _status(path, "")})
            if "data" not in query:
                return self._send(307, b"", Location=f"http://{server.host}{self.path}&data=1")
            start = int(query.get("offset", 0))
            end = start + int(query["length"]) if "length" in query else None
            return self._send(200, path.read_bytes()[start:end])

        def _error(self, status: int, kind: str, name: str) -> None:
            body = {"RemoteException": {"exception": kind, "message": f"{kind}: /{name}"}}
            self._send(status, json.dumps(body).encode())

        def _json(self, body: dict[str, Any]) -> None:
            self._send(200, json.dumps(body).encode())

        def _send(self, status: int, body: bytes, **headers: str) -> None:
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler
