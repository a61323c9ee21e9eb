"""What Backblaze B2 refuses and other S3 servers take."""

from __future__ import annotations

from typing import NamedTuple

_META = "x-amz-meta-"
_NAME_AND_METADATA_BYTES = 2048
_CHECKSUMS = ("x-amz-checksum-", "x-amz-sdk-checksum-algorithm", "x-amz-trailer")
_ACLS = ("x-amz-acl", "x-amz-grant-")
_CODES = {400: "InvalidArgument", 411: "MissingContentLength", 501: "NotImplemented"}


class Answer(NamedTuple):
    """A whole reply."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


def error(status: int, code: str, message: str, retry_after: str | None = None) -> Answer:
    """An S3 error reply."""
    text = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    headers = [("Content-Type", "application/xml")]
    if retry_after is not None:
        headers.append(("Retry-After", retry_after))
    return Answer(status, headers, text.encode())


def refusal(method: str, path: str, query: str, headers: dict[str, str]) -> tuple[int, str] | None:
    """B2's status and message for a request that it does not take; header names in lower case."""
    writes = method in ("PUT", "POST")
    if writes and ("if-match" in headers or "if-none-match" in headers):
        return 501, "A header you provided implies functionality that is not implemented"
    if "x-amz-tagging" in headers or "tagging" in query.split("&"):
        return 400, "Unsupported header 'x-amz-tagging' received for this API call"
    for name in headers:
        if name.startswith(_CHECKSUMS) or (writes and name.startswith(_ACLS)):
            return 400, f"Unsupported header '{name}' received for this API call"
    if "chunked" in headers.get("transfer-encoding", "") or "aws-chunked" in headers.get(
        "content-encoding", ""
    ):
        return 411, "You must provide the Content-Length HTTP header"
    if any(n.startswith("x-amz-object-lock-") for n in headers) and "content-md5" not in headers:
        return 400, "Content-MD5 HTTP header is required for Put Object requests with Object Lock"
    key = path.lstrip("/").partition("/")[2]
    named = len(key.encode()) + sum(
        len(n) - len(_META) + len(v.encode()) for n, v in headers.items() if n.startswith(_META)
    )
    if writes and key and named > _NAME_AND_METADATA_BYTES:
        return 400, f"Name and metadata are {named} bytes, more than {_NAME_AND_METADATA_BYTES}"
    return None


def refused(method: str, path: str, query: str, headers: dict[str, str]) -> Answer | None:
    """B2's reply to a request that it does not take, None to all others."""
    found = refusal(method, path, query, headers)
    return error(found[0], _CODES[found[0]], found[1]) if found else None
