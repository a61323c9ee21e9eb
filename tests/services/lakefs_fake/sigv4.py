"""Signature version 4 of S3 requests, in the header form: recomputed and compared."""

from __future__ import annotations

import hashlib
import hmac
import re
from urllib.parse import quote, unquote

from services.lakefs_fake.wire import Request

_FORM = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/(?P<scope>[^,]+),\s*"
    r"SignedHeaders=(?P<signed>[^,]+),\s*Signature=(?P<signature>[0-9a-f]+)"
)


def refusal(request: Request, key_id: str, secret: str) -> str | None:
    """The S3 error code for a request that is not signed with these keys; None when it is."""
    match = _FORM.fullmatch(request.headers.get("authorization", ""))
    if match is None or match["key"] != key_id:
        return "AccessDenied"
    names = match["signed"].split(";")
    canonical = "\n".join(
        [
            request.method,
            quote(unquote(request.path), safe="/-_.~"),
            "&".join(sorted(_canonical(part) for part in request.query_string.split("&") if part)),
            *(f"{name}:{' '.join(request.headers.get(name, '').split())}" for name in names),
            "",
            match["signed"],
            request.headers.get("x-amz-content-sha256", ""),
        ]
    )
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{request.headers.get('x-amz-date', '')}\n{match['scope']}\n{digest}"
    key = b"AWS4" + secret.encode()
    for part in match["scope"].split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    wanted = hmac.new(key, text.encode(), "sha256").hexdigest()
    return None if hmac.compare_digest(wanted, match["signature"]) else "SignatureDoesNotMatch"


def _canonical(parameter: str) -> str:
    """Clients may send ``%7E`` and sign ``~``: what is signed is quoted in one way only."""
    name, _, value = parameter.partition("=")
    return f"{quote(unquote(name), safe='-_.~')}={quote(unquote(value), safe='-_.~')}"
