"""What protects an object, as parameters of S3's requests: Object Lock, encryption at rest."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from trainset.errors import InputError
from trainset.model import Credentials, Protection
from trainset.stores.sender import Body, Piece

NAME_AND_METADATA_BYTES = 2048  # B2's limit with encryption or Object Lock; kept everywhere
_KEY_BYTES = 32


class Protector:
    """Says what to add to requests. Its ``repr`` and ``vars`` show no key.

    Raises:
        InputError: encryption with the user's own key is asked for, and there is none of 32 bytes.
    """

    def __init__(self, protection: Protection, credentials: Credentials) -> None:
        self._protection, self._credentials = protection, credentials
        if protection.encryption == "customer":
            self.read()

    @property
    def locks(self) -> bool:
        return self._protection.locks

    def read(self, prefix: str = "SSECustomer") -> dict[str, str]:
        """For GET, HEAD and parts: the user's key, if objects are encrypted with it.

        Args:
            prefix: ``CopySourceSSECustomer`` for the source of a copy.
        """
        if self._protection.encryption != "customer":
            return {}
        key = _customer_key(self._credentials)
        return {
            f"{prefix}Algorithm": "AES256",
            f"{prefix}Key": base64.b64encode(key).decode(),
            f"{prefix}KeyMD5": base64.b64encode(hashlib.md5(key).digest()).decode(),
        }

    def write(self) -> dict[str, str]:
        """For requests that make an object."""
        extra = self.read() | self.lock()
        if self._protection.encryption == "b2":
            extra["ServerSideEncryption"] = "AES256"
        return extra

    def lock(self) -> dict[str, str]:
        """Object Lock and legal hold; the lock's end counts from now."""
        extra: dict[str, str] = {}
        if self._protection.lock is not None and self._protection.lock_days is not None:
            until = datetime.now(UTC) + timedelta(days=self._protection.lock_days)
            extra["ObjectLockMode"] = self._protection.lock.upper()
            extra["ObjectLockRetainUntilDate"] = until.strftime("%Y-%m-%dT%H:%M:%SZ")
        if self._protection.legal_hold:
            extra["ObjectLockLegalHoldStatus"] = "ON"
        return extra

    def body(self, body: Body, *, md5: bool = False) -> dict[str, str]:
        """The body's MD5, which B2 asks for where an object is locked.

        Args:
            md5: in any case: the server compares nothing else with what arrives.
        """
        return {"ContentMD5": content_md5(body)} if self.locks or md5 else {}


def retention_of(said: Mapping[str, Any]) -> datetime | None:
    """Until when the parameters of a request, or the reply to a HEAD, lock an object."""
    until = said.get("ObjectLockRetainUntilDate")
    return datetime.fromisoformat(until) if isinstance(until, str) else until


def content_md5(body: Body) -> str:
    """As the ``Content-MD5`` header has it."""
    digest = hashlib.md5(usedforsecurity=False)
    for block in body.blocks() if isinstance(body, Piece) else (body,):
        digest.update(block)
    return base64.b64encode(digest.digest()).decode()


def check_metadata(key: str, name: str, metadata: Mapping[str, str]) -> None:
    """Refuse what B2 would: more than 2,048 bytes of name and metadata, or metadata not in ASCII.

    Args:
        key, name: of the object, as the user knows it and in the bucket.
    """
    size = len(name.encode("utf-8", "surrogatepass"))
    for label, value in metadata.items():
        if not (label + value).isascii():
            raise InputError(f"{key!r}: its metadata {label!r} is not ASCII; encode the value")
        size += len(label) + len(value)
    if size > NAME_AND_METADATA_BYTES:
        raise InputError(
            f"{key!r}: its name and metadata take {size} bytes, the store takes "
            f"{NAME_AND_METADATA_BYTES}; shorten the key or the metadata"
        )


def _customer_key(credentials: Credentials) -> bytes:
    if credentials.customer_key is None:
        raise InputError(
            "encryption: customer needs your own key; give the credentials a customer_key "
            f"({_KEY_BYTES} random bytes, in base64)"
        )
    try:
        key = base64.b64decode(credentials.customer_key.get_secret_value(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != _KEY_BYTES:
        raise InputError(
            f"the customer_key is not {_KEY_BYTES} bytes in base64; make one with: "
            f"openssl rand -base64 {_KEY_BYTES}"
        )
    return key


def object_parameters(
    protector: Protector, key: str, name: str, metadata: Mapping[str, str], content_type: str | None
) -> dict[str, Any]:
    """The parameters of a request that makes an object."""
    check_metadata(key, name, metadata)
    extra: dict[str, Any] = {"Metadata": dict(metadata), **protector.write()}
    if content_type:
        extra["ContentType"] = content_type
    return extra
