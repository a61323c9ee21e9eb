"""The one seam where the errors of boto3 and of S3 servers become ours."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from trainset.errors import (
    AccessDenied,
    BucketMissing,
    ChecksumMismatch,
    InputError,
    KeyRefused,
    NotFound,
    NotSupported,
    ReplyLost,
    SourceChanged,
    StaleSignature,
    StoreFull,
    StoreReply,
    Throttled,
    TrainsetError,
    TransientError,
    UploadLost,
)
from trainset.stores.clock import clock_of
from trainset.stores.exchange import Refused
from trainset.stores.seam import Seam

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

# What S3 servers call it -> what is done about it. HEAD replies have no body: their "code" is the
# status, so statuses are looked at too.
_ABSENT = {"NoSuchKey", "NoSuchVersion", "404", "NotFound"}
_THROTTLED = {"SlowDown", "TooManyRequests", "Throttling", "RequestLimitExceeded", "429"}
_MISMATCH = {"XAmzContentSHA256Mismatch", "BadDigest", "InvalidDigest"}
_CAPPED = ("cap_exceeded", "cap exceeded", "storage cap", "transaction cap", "quota")
_PASSING = {"RequestTimeout", "InternalError", "ServiceUnavailable", "OperationAborted"}
_UNKNOWN_KEY = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "AuthorizationHeaderMalformed"}
_REFUSED_SKEW_S = 14 * 60.0  # servers refuse from 15 minutes on
_STALE = {"RequestTimeTooSkewed", "RequestExpired", "ExpiredToken"}


def translated(what: str, *, key: str, bucket: str, endpoint: str) -> Seam:
    """Turn errors of the block into ``trainset.errors``.

    Args:
        what: the operation, for the text: "put", "list" …
        key: the object (or prefix) as the user knows it.
    """
    return Seam(_ours, what, key, bucket, endpoint)


def _ours(
    err: BaseException, what: str, key: str, bucket: str, endpoint: str
) -> TrainsetError | None:
    if isinstance(err, TrainsetError) or not isinstance(err, Exception):
        return None
    if isinstance(err, Refused):
        return _refusal(err, what, key, bucket, endpoint)
    # Late: urllib3 and more come with them, and most runs meet no error.
    from botocore import exceptions as boto
    from urllib3.exceptions import HTTPError

    if isinstance(err, boto.ClientError):
        return _refusal(err, what, key, bucket, endpoint)
    place = _place(what, key, bucket, endpoint)
    if isinstance(err, boto.SSLError):
        if "CERTIFICATE" in str(err).upper():
            return InputError(f"{place}: {err}; check the endpoint's name and certificate")
        return TransientError(f"{place}: {err}; run again")
    if isinstance(
        err,
        boto.ConnectTimeoutError | boto.EndpointConnectionError | boto.ProxyConnectionError,
    ):
        return TransientError(
            f"{place}: {err}; check the network and the endpoint's name, then run again"
        )
    lost = (
        boto.HTTPClientError,
        boto.IncompleteReadError,
        HTTPError,
        ConnectionError,
        TimeoutError,
    )
    if isinstance(err, (*lost, TimeoutError)):
        return ReplyLost(f"{place}: {err}; check the network, then run again")
    if isinstance(err, boto.ParamValidationError | boto.BotoCoreError):
        return InputError(f"{place}: {err}; mend the bucket's name, the endpoint or the key")
    return None


def _place(what: str, key: str, bucket: str, endpoint: str) -> str:
    return f"{what} {key!r} in bucket {bucket!r} at {endpoint}"


def _refusal(
    err: ClientError | Refused, what: str, key: str, bucket: str, endpoint: str
) -> TrainsetError:
    error = _from_reply(err, what, key, bucket, endpoint)
    error.reply = _reply(err)
    return error


def _from_reply(
    err: ClientError | Refused, what: str, key: str, bucket: str, endpoint: str
) -> TrainsetError:
    place = _place(what, key, bucket, endpoint)
    error: dict[str, Any] = err.response.get("Error", {})
    meta: dict[str, Any] = err.response.get("ResponseMetadata", {})
    code, status = str(error.get("Code", "")), int(meta.get("HTTPStatusCode", 0))
    said = f"{place}: {code} {error.get('Message', '')}".rstrip()
    text = f"{code} {error.get('Message', '')}".lower()  # not the key: it may be named quota.jpg
    if code == "NoSuchBucket":
        return BucketMissing(
            f"bucket {bucket!r} is not at {endpoint}; create it, or mend its name or the endpoint "
            "(an account's buckets are all in one region)"
        )
    if code == "NoSuchUpload":
        return UploadLost(
            f"{said}; the store has forgotten this upload, it is started again",
            completing=err.operation_name == "CompleteMultipartUpload",
        )
    if code in _ABSENT:
        return NotFound(f"{place}: there is no such object; check the key")
    if status in (404, 410):
        return NotFound(f"{said}; check the key")
    wait_s = _retry_after(meta)
    # A HEAD has no body: a 503 that says how long to wait is throttling.
    if code in _THROTTLED or status == 429 or (code == "503" and wait_s is not None):
        return Throttled(f"{said}; run again later", retry_after_s=wait_s)
    if code in _MISMATCH:
        return ChecksumMismatch(
            key,
            expected=str(error.get("ClientComputedContentSHA256", "unknown")),
            found=str(error.get("S3ComputedContentSHA256", "unknown")),
        )
    if status == 412:
        return SourceChanged(key)
    if status == 507 or (status == 403 and any(word in text for word in _CAPPED)):
        return StoreFull(f"{said}; raise the account's caps, then run again")
    if code in _UNKNOWN_KEY or status == 301:
        return KeyRefused(
            f"{said}; {endpoint} does not take this key: a key works only at the endpoint of its "
            "account's region (shown on the bucket's page). Compare TRAINSET_S3_ENDPOINT, "
            "B2_KEY_ID and B2_APPLICATION_KEY"
        )
    if code in _STALE or (code == "403" and _skewed(meta, endpoint)):
        return StaleSignature(
            f"{said}; set this machine's clock, or make a new key", server_time=_server_time(meta)
        )
    if status in (401, 403):
        return AccessDenied(
            f"{said}; the endpoint refuses: the key lacks a capability (listFiles, readFiles, "
            "writeFiles), is for another bucket, or belongs to another region's endpoint"
        )
    if code in _PASSING or status in (408, 500, 502, 503, 504):
        return TransientError(f"{said}; run again")
    if status == 501:
        return NotSupported(f"{said}; the store cannot do this, use one that can")
    return InputError(f"{said}; the store does not take this request")


def _reply(err: ClientError | Refused) -> StoreReply:
    meta: dict[str, Any] = err.response.get("ResponseMetadata", {})
    code = err.response.get("Error", {}).get("Code")
    status = int(meta.get("HTTPStatusCode", 0))
    # A HEAD reply has no body: its "code" is the status once more.
    named = None if code in (None, "", str(status)) else str(code)
    return StoreReply(status, named, request_id(meta))


def request_id(meta: Mapping[str, Any]) -> str | None:
    """The server's name of a request, from boto3's ``ResponseMetadata``."""
    said = meta.get("RequestId") or meta.get("HTTPHeaders", {}).get("x-amz-request-id")
    return str(said) if said else None


def _retry_after(meta: dict[str, Any]) -> float | None:
    """Seconds in ``Retry-After``; None without one, or when it is a date."""
    try:
        return max(0.0, float(meta.get("HTTPHeaders", {}).get("retry-after", "")))
    except ValueError:
        return None


def _server_time(meta: dict[str, Any]) -> float | None:
    """When the server answered, in seconds since the epoch; None when it does not say."""
    try:
        return parsedate_to_datetime(meta.get("HTTPHeaders", {}).get("date", "")).timestamp()
    except ValueError:
        return None


def _skewed(meta: dict[str, Any], endpoint: str) -> bool:
    """Whether a refusal without words (of a HEAD) is explained by the time that was signed."""
    said = _server_time(meta)
    return said is not None and abs(said - clock_of(endpoint).now()) > _REFUSED_SKEW_S
