"""AWS Signature Version 4 for S3, with the payload's sha256 known and the day's key kept.

Half the cost of botocore's, which derives the key and walks its header maps for every request.
Source: AWS, "Authenticating Requests (AWS Signature Version 4)", S3 API Reference.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import quote

EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()


def quoted_path(bucket: str, name: str) -> str:
    """The path of an object, or with an empty name of the bucket, as it is signed and sent."""
    return f"/{bucket}/{quote(name, safe='/~')}" if name else f"/{bucket}"


def quoted_query(parameters: Mapping[str, str]) -> str:
    """The query in the order that is signed."""
    pairs = sorted((quote(k, safe="~"), quote(v, safe="~")) for k, v in parameters.items())
    return "&".join(f"{k}={v}" for k, v in pairs)


class Signer:
    """Signs requests of one key in one region. Threads may share it."""

    def __init__(self, key_id: str, secret: str, region: str) -> None:
        self._key_id, self._secret, self._region = key_id, secret, region
        self._mac_of_day: tuple[str, hmac.HMAC | None] = ("", None)

    def signed(
        self,
        method: str,
        path: str,
        query: str,
        headers: Mapping[str, str],
        sha256: str,
        *,
        now: float,
    ) -> dict[str, str]:
        """``headers`` with date, payload hash and signature.

        Args:
            path, query: quoted.
            headers: names in lower case; ``host`` among them. All are signed.
            sha256: of the body.
            now: seconds since the epoch.
        """
        stamp = _stamp(int(now))
        signed = {**headers, "x-amz-content-sha256": sha256, "x-amz-date": stamp}
        names = sorted(signed)
        lines = "".join([f"{name}:{' '.join(signed[name].split())}\n" for name in names])
        listed = ";".join(names)
        request = f"{method}\n{path}\n{query}\n{lines}\n{listed}\n{sha256}"
        scope = f"{stamp[:8]}/{self._region}/s3/aws4_request"
        digest = hashlib.sha256(request.encode()).hexdigest()
        text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}"
        mac = self._mac(stamp[:8]).copy()
        mac.update(text.encode())
        signature = mac.hexdigest()
        signed["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self._key_id}/{scope}, "
            f"SignedHeaders={listed}, Signature={signature}"
        )
        return signed

    def _mac(self, day: str) -> hmac.HMAC:
        """Keyed for the day; to be copied: ``hmac.digest`` would let go of the GIL each time."""
        known, mac = self._mac_of_day
        if mac is None or known != day:
            key = f"AWS4{self._secret}".encode()
            for word in (day, self._region, "s3", "aws4_request"):
                key = hmac.digest(key, word.encode(), "sha256")
            mac = hmac.new(key, digestmod="sha256")
            self._mac_of_day = (day, mac)
        return mac


@lru_cache(maxsize=4)
def _stamp(second: int) -> str:
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(second))
