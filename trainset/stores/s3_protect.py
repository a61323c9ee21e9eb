"""``Protection`` as request parameters: Object Lock, legal hold, encryption at rest."""

from __future__ import annotations

import base64
import binascii
import hashlib
from datetime import datetime, timedelta
from typing import Any

from trainset.errors import InputError
from trainset.model import Credentials, Protection

CUSTOMER_KEY_BYTES = 32


def lock_parameters(protection: Protection, now: datetime) -> dict[str, Any]:
    """What a PUT or the start of an upload says of locks.

    Args:
        now: aware; the days are counted from it.
    """
    found: dict[str, Any] = {}
    if protection.lock is not None and protection.lock_days is not None:
        until = now + timedelta(days=protection.lock_days)
        found["ObjectLockMode"] = protection.lock.upper()
        found["ObjectLockRetainUntilDate"] = f"{until:%Y-%m-%dT%H:%M:%SZ}"
    if protection.legal_hold:
        found["ObjectLockLegalHoldStatus"] = "ON"
    return found


def encryption_parameters(protection: Protection) -> dict[str, Any]:
    """What a PUT or the start of an upload says of the store's own encryption."""
    return {"ServerSideEncryption": "AES256"} if protection.encryption == "b2" else {}


def customer_key_parameters(protection: Protection, credentials: Credentials) -> dict[str, Any]:
    """What every request that touches bytes says with SSE-C; empty without it.

    Raises:
        InputError: SSE-C is asked for and the key is missing, or has not 32 bytes.
    """
    if protection.encryption != "customer":
        return {}
    if credentials.customer_key is None:
        raise InputError(
            "encryption: customer needs your own key: set TRAINSET_SSE_C_KEY (32 bytes in base64), "
            "or the customer key of the credentials block"
        )
    encoded = credentials.customer_key.get_secret_value()
    try:
        key = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != CUSTOMER_KEY_BYTES:
        raise InputError(
            "the SSE-C key is not 32 bytes in base64; make one with: openssl rand -base64 32"
        )
    digest = hashlib.md5(key, usedforsecurity=False).digest()
    return {
        "SSECustomerAlgorithm": "AES256",
        "SSECustomerKey": encoded,
        "SSECustomerKeyMD5": base64.b64encode(digest).decode(),
    }
