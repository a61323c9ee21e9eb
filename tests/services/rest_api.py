"""A small REST API: pages by offset, a bearer token, an updated-since filter, a record of asks."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

TOKEN = "rest-s3cret-token/with=signs"


class RestApi:
    """A running server at ``url`` with one list at ``/captions``.

    Attributes:
        items: by id; each has ``updated_at``.
        asked: the query of every request that had the right token.
        broken: the status of every reply, when not 200.
    """

    def __init__(self) -> None:
        self.items: dict[int, dict[str, Any]] = {}
        self.asked: list[dict[str, str]] = []
        self.broken = 200
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def put(self, id_: int, updated_at: str, **fields: Any) -> None:
        self.items[id_] = {"id": id_, "updated_at": updated_at, **fields}

    def answer(self, target: str, token: str) -> tuple[int, Any]:
        parts = urlsplit(target)
        if token != f"Bearer {TOKEN}":
            return 401, {"error": f"wrong token {token}"}  # some servers repeat what they got
        query = dict(parse_qsl(parts.query))
        self.asked.append(query)
        if self.broken != 200:
            return self.broken, {"error": f"refused {token}"}
        since = query.get("updated_since", "")
        found = [i for i in self.items.values() if i["updated_at"] >= since]
        found.sort(key=lambda i: (i["updated_at"], i["id"]))
        start = int(query.get("offset", 0))
        return 200, {"items": found[start : start + int(query["limit"])]}


def _handler(api: RestApi) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, found = api.answer(self.path, self.headers.get("Authorization", ""))
            data = json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: object) -> None:
            return

    return Handler


MANIFEST = """
version: 6.0.0
type: DeclarativeSource
check: {type: CheckStream, stream_names: [captions]}
streams:
  - type: DeclarativeStream
    name: captions
    primary_key: [id]
    retriever:
      type: SimpleRetriever
      requester:
        type: HttpRequester
        url_base: "{{ config['url'] }}"
        path: /captions
        http_method: GET
        authenticator: {type: BearerAuthenticator, api_token: "{{ config['token'] }}"}
        error_handler: {type: DefaultErrorHandler, max_retries: 0}
      record_selector:
        type: RecordSelector
        extractor: {type: DpathExtractor, field_path: [items]}
      paginator:
        type: DefaultPaginator
        page_token_option: {type: RequestOption, inject_into: request_parameter, field_name: offset}
        page_size_option: {type: RequestOption, inject_into: request_parameter, field_name: limit}
        pagination_strategy: {type: OffsetIncrement, page_size: 10}
    incremental_sync:
      type: DatetimeBasedCursor
      cursor_field: updated_at
      datetime_format: "%Y-%m-%dT%H:%M:%SZ"
      start_datetime: {type: MinMaxDatetime, datetime: "2026-01-01T00:00:00Z"}
      start_time_option:
        type: RequestOption
        inject_into: request_parameter
        field_name: updated_since
    schema_loader:
      type: InlineSchemaLoader
      schema:
        type: object
        properties:
          id: {type: integer}
          updated_at: {type: string, format: date-time}
          file_name: {type: ["null", string]}
          text: {type: ["null", string]}
          score: {type: ["null", number]}
spec:
  type: Spec
  connection_specification:
    type: object
    required: [url, token]
    properties:
      url: {type: string}
      token: {type: string, airbyte_secret: true}
"""
