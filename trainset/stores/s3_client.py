"""A boto3 S3 client that fits Backblaze B2."""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import cache, lru_cache
from typing import Any

import boto3
import botocore.handlers
import botocore.loaders
import botocore.utils
from botocore.config import Config

from trainset.model import Credentials
from trainset.stores.endpoint import normal_endpoint, region_of
from trainset.stores.s3_signer import choose_signer

_EMPTY_MD5 = "1B2M2Y8AsgTpgAmY7PhCfg=="
_LOCK = "x-amz-object-lock-"


def make_client(credentials: Credentials) -> Any:
    """A thread-safe client. Makes no request, and reads no AWS settings of the user's.

    Checksum headers only where an operation demands one, SigV4, path addressing, no retries of
    botocore's (``retry.Retrier`` does them), no ``Expect: 100-continue`` (a round trip a file).
    """
    endpoint = normal_endpoint(credentials.endpoint)
    session = boto3.session.Session(
        aws_access_key_id=credentials.key_id,
        aws_secret_access_key=credentials.application_key.get_secret_value(),
        region_name=region_of(endpoint),
    )
    session._session.register_component("data_loader", _models())
    # The documented way to other parsers; boto3's session has no word for it.
    parsers = session._session.get_component("response_parser_factory")
    parsers.set_parser_defaults(timestamp_parser=_timestamp)
    client = session.client(
        "s3",
        endpoint_url=endpoint,
        config=Config(
            signature_version="s3v4",
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            retries={"mode": "standard", "total_max_attempts": 1},
            s3={"addressing_style": "path"},
            max_pool_connections=64,
            connect_timeout=10,
            read_timeout=60,
            tcp_keepalive=True,
            user_agent="trainset",  # botocore would put its own together for every request
        ),
    )
    events = client.meta.events
    events.unregister("before-call.s3", botocore.handlers.add_expect_header)
    events.register_first("choose-signer.s3", choose_signer)
    for operation in ("CreateMultipartUpload", "CopyObject"):
        events.register(f"before-call.s3.{operation}", _lock_wants_md5)
    for operation in ("PutObjectRetention", "PutObjectLegalHold"):
        events.register(f"before-call.s3.{operation}", _md5_not_crc)
    return client


@cache
def _models() -> Any:
    """The models of S3's operations, read once: a run makes a client in each of its steps."""
    return botocore.loaders.create_loader()


@lru_cache(maxsize=64)
def _timestamp(value: Any) -> datetime:
    """As botocore's, which takes a tenth of a small GET to read an HTTP date."""
    if isinstance(value, str) and value.endswith(" GMT"):
        try:
            return parsedate_to_datetime(value)
        except ValueError:
            pass
    found: datetime = botocore.utils.parse_timestamp(value)
    return found


def _lock_wants_md5(params: dict[str, Any], **_: Any) -> None:
    """B2 asks for Content-MD5 beside lock headers; boto3 offers none where there is no body."""
    headers = params["headers"]
    if any(name.lower().startswith(_LOCK) for name in headers):
        headers["Content-MD5"] = _EMPTY_MD5


def _md5_not_crc(params: dict[str, Any], **_: Any) -> None:
    """boto3 adds a CRC where an operation demands a checksum; B2 wants Content-MD5 there."""
    digest = hashlib.md5(params["body"], usedforsecurity=False).digest()
    params["headers"]["Content-MD5"] = base64.b64encode(digest).decode()
    params["context"].get("checksum", {}).pop("request_algorithm", None)
