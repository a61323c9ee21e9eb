"""The address of an S3 server, and what it says of its region."""

from __future__ import annotations

import re
from urllib.parse import SplitResult

from trainset.errors import InputError

_REGION = re.compile(r"^s3[.-](?P<region>[a-z]{2,}(?:-[a-z0-9]+)+)\.", re.IGNORECASE)
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def normal_endpoint(endpoint: str) -> str:
    """The endpoint with its scheme (https unless said) and without a trailing slash."""
    text = endpoint.strip().rstrip("/")
    if "://" not in text:
        text = f"https://{text}"
    if not re.match(r"https?://[^/\s]+$", text):
        raise InputError(
            f"{endpoint!r} is no S3 endpoint; it reads https://s3.<region>.backblazeb2.com "
            "(no bucket, no path)"
        )
    return text


def region_of(endpoint: str) -> str:
    """The region in an endpoint (``s3.us-west-004.backblazeb2.com``); us-east-1 where none is."""
    host = endpoint.split("://", 1)[-1]
    return match["region"].lower() if (match := _REGION.match(host)) else "us-east-1"


def host_header(url: SplitResult) -> str:
    """The Host that is sent and signed: without the port that the scheme implies."""
    return url.netloc.lower().removesuffix(_DEFAULT_PORTS[url.scheme])
