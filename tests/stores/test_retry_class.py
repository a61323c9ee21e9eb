"""Every row of the retry table, from what a server or the system really says."""

from __future__ import annotations

import errno
import os
import pickle
import socket
from collections.abc import Callable
from typing import Any

import pytest
import urllib3.exceptions
from botocore import exceptions as boto

from trainset.errors import (
    AccessDenied,
    ChecksumMismatch,
    MissingExtra,
    SourceChanged,
    StoreFull,
    Throttled,
    TrainsetError,
    TransientError,
)
from trainset.retry_class import RetryClass, confirm_fatal, is_run_fatal, retry_class
from trainset.stores.local_errors import translated as local_translated
from trainset.stores.s3_errors import translated

ENDPOINT = "https://s3.us-west-004.backblazeb2.com"


def reply(
    status: int, code: str, message: str = "", operation: str = "PutObject", **headers: str
) -> boto.ClientError:
    """A ClientError as botocore builds it; a HEAD's has the status for a code."""
    return boto.ClientError(
        {
            "Error": {"Code": code, "Message": message},
            "ResponseMetadata": {
                "HTTPStatusCode": status,
                "HTTPHeaders": {n.replace("_", "-"): v for n, v in headers.items()},
            },
        },
        operation,
    )


def ours(err: Exception, key: str = "a/quota.jpg") -> TrainsetError:
    """What the seam of the S3 stores makes of ``err``."""
    with (
        pytest.raises(TrainsetError) as caught,
        translated("put", key=key, bucket="b", endpoint=ENDPOINT),
    ):
        raise err
    return caught.value


REPLIES: list[tuple[Exception, RetryClass]] = [
    (reply(503, "SlowDown", retry_after="3"), RetryClass.THROTTLE),
    (reply(429, "TooManyRequests"), RetryClass.THROTTLE),
    (reply(429, "429"), RetryClass.THROTTLE),
    (reply(503, "503", operation="HeadObject", retry_after="1"), RetryClass.THROTTLE),
    (reply(500, "InternalError", "Please retry your upload"), RetryClass.TRANSIENT),
    (reply(503, "ServiceUnavailable", "no tomes available"), RetryClass.TRANSIENT),
    (reply(503, "503", operation="HeadObject"), RetryClass.TRANSIENT),
    (reply(502, "BadGateway"), RetryClass.TRANSIENT),
    (reply(504, "GatewayTimeout"), RetryClass.TRANSIENT),
    (reply(408, "RequestTimeout"), RetryClass.TRANSIENT),
    (reply(400, "RequestTimeout"), RetryClass.TRANSIENT),
    (boto.EndpointConnectionError(endpoint_url=ENDPOINT), RetryClass.TRANSIENT),
    (boto.ConnectTimeoutError(endpoint_url=ENDPOINT), RetryClass.TRANSIENT),
    (boto.SSLError(endpoint_url=ENDPOINT, error="EOF occurred"), RetryClass.TRANSIENT),
    (boto.ConnectionClosedError(endpoint_url=ENDPOINT), RetryClass.AMBIGUOUS),
    (boto.ReadTimeoutError(endpoint_url=ENDPOINT), RetryClass.AMBIGUOUS),
    (boto.IncompleteReadError(actual_bytes=1, expected_bytes=2), RetryClass.AMBIGUOUS),
    (urllib3.exceptions.ProtocolError("broken"), RetryClass.AMBIGUOUS),
    (ConnectionResetError(errno.ECONNRESET, "reset"), RetryClass.AMBIGUOUS),
    (TimeoutError("timed out"), RetryClass.AMBIGUOUS),
    (reply(404, "NoSuchUpload", operation="CompleteMultipartUpload"), RetryClass.AMBIGUOUS),
    (reply(404, "NoSuchUpload", operation="UploadPart"), RetryClass.UPLOAD_LOST),
    (reply(400, "BadDigest"), RetryClass.INTEGRITY),
    (reply(400, "XAmzContentSHA256Mismatch"), RetryClass.INTEGRITY),
    (reply(403, "RequestTimeTooSkewed"), RetryClass.CLOCK),
    (reply(400, "ExpiredToken"), RetryClass.CLOCK),
    (reply(403, "InvalidAccessKeyId"), RetryClass.FATAL),
    (reply(403, "SignatureDoesNotMatch"), RetryClass.FATAL),
    (reply(404, "NoSuchBucket"), RetryClass.FATAL),
    (reply(403, "AccessDenied", "storage_cap_exceeded"), RetryClass.FATAL),
    (reply(403, "AccessDenied", "transaction_cap_exceeded"), RetryClass.FATAL),
    (reply(403, "QuotaExceeded"), RetryClass.FATAL),
    (reply(501, "NotImplemented"), RetryClass.FATAL),
    (reply(403, "AccessDenied", "not entitled"), RetryClass.PERMANENT),
    (reply(403, "403", operation="HeadObject"), RetryClass.PERMANENT),
    (reply(400, "KeyTooLongError"), RetryClass.PERMANENT),
    (reply(400, "InvalidArgument", "File name contains illegal bytes"), RetryClass.PERMANENT),
    (reply(400, "MetadataTooLarge"), RetryClass.PERMANENT),
    (reply(400, "EntityTooLarge"), RetryClass.PERMANENT),
    (reply(404, "NoSuchKey", operation="GetObject"), RetryClass.PERMANENT),
    (reply(410, "410", operation="GetObject"), RetryClass.PERMANENT),
    (reply(412, "PreconditionFailed", operation="GetObject"), RetryClass.SOURCE_CHANGED),
]


@pytest.mark.parametrize(("said", "expected"), REPLIES, ids=[f"{str(e)[:60]}" for e, _ in REPLIES])
def test_a_reply_of_the_store_has_its_class(said: Exception, expected: RetryClass) -> None:
    assert retry_class(ours(said)) is expected


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.ENOSPC, RetryClass.FATAL),
        (errno.EDQUOT, RetryClass.FATAL),
        (errno.EACCES, RetryClass.PERMANENT),
        (errno.ENOENT, RetryClass.PERMANENT),
        (errno.ELOOP, RetryClass.PERMANENT),
        (errno.EIO, RetryClass.PERMANENT),
        (errno.ENAMETOOLONG, RetryClass.PERMANENT),
        (errno.ESTALE, RetryClass.TRANSIENT),
        (errno.ETIMEDOUT, RetryClass.TRANSIENT),
        (errno.EMFILE, RetryClass.TRANSIENT),
    ],
)
def test_an_error_of_the_disk_has_its_class(number: int, expected: RetryClass) -> None:
    err = OSError(number, os.strerror(number))
    assert retry_class(err) is expected
    with pytest.raises(TrainsetError) as caught, local_translated("/data/a"):
        raise err
    assert retry_class(caught.value) is expected


@pytest.mark.parametrize(
    ("err", "expected"),
    [
        (socket.gaierror(socket.EAI_AGAIN, "name"), RetryClass.PERMANENT),
        (SourceChanged("k"), RetryClass.SOURCE_CHANGED),
        (ChecksumMismatch("k", expected="a", found="b"), RetryClass.INTEGRITY),
        (MissingExtra("video", "media"), RetryClass.FATAL),
        (StoreFull("full; free some"), RetryClass.FATAL),
        (KeyError("unforeseen"), RetryClass.PERMANENT),
    ],
)
def test_errors_from_elsewhere_have_a_class(err: Exception, expected: RetryClass) -> None:
    assert retry_class(err) is expected


def test_a_wrong_key_names_endpoint_and_region() -> None:
    text = str(ours(reply(403, "InvalidAccessKeyId", "the key is malformed")))
    for word in (ENDPOINT, "region", "TRAINSET_S3_ENDPOINT"):
        assert word in text


def test_a_throttled_reply_says_how_long() -> None:
    err = ours(reply(503, "SlowDown", retry_after="7"))
    assert isinstance(err, Throttled)
    assert err.retry_after_s == 7


def test_fatal_outlives_pickling() -> None:
    for said in (reply(403, "InvalidAccessKeyId"), reply(403, "AccessDenied", "cap_exceeded")):
        assert is_run_fatal(pickle.loads(pickle.dumps(ours(said))))


def raising(err: Exception | None) -> Callable[[], Any]:
    def probe() -> None:
        if err is not None:
            raise err

    return probe


def test_one_refused_key_is_fatal_only_when_the_bucket_refuses_too() -> None:
    refused = ours(reply(403, "AccessDenied"))
    assert not confirm_fatal(refused, raising(None))
    assert confirm_fatal(refused, raising(AccessDenied("all; mend the key")))
    assert confirm_fatal(refused, raising(ours(reply(404, "NoSuchBucket"))))
    assert not confirm_fatal(refused, raising(TransientError("reset; run again")))
    assert not confirm_fatal(refused, raising(ours(reply(400, "BadDigest"))))


def test_the_probe_is_asked_only_where_the_error_leaves_it_open() -> None:
    def probe() -> None:
        raise AssertionError("asked")

    assert confirm_fatal(ours(reply(404, "NoSuchBucket")), probe)
    assert not confirm_fatal(ours(reply(400, "InvalidArgument")), probe)
