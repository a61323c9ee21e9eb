"""What a key may look like, in every store."""

from __future__ import annotations

from functools import lru_cache

from trainset.errors import InputError

MAX_KEY_BYTES = 1024  # UTF-8; the limit of S3 and B2, kept in folders too so that homes can move


@lru_cache(maxsize=1024)  # a key is checked at every door that it passes
def check_key(key: str) -> str:
    """``key`` itself when it is relative, without ``..`` and short enough; else InputError."""
    why = None
    if not key:
        why = "it is empty"
    elif key.startswith("/"):
        why = "it starts with '/'; keys are relative to the store"
    elif ".." in key.split("/"):
        why = "it holds '..'"
    elif "\0" in key:
        why = "it holds a NUL character"
    elif len(key.encode("utf-8", "surrogatepass")) > MAX_KEY_BYTES:
        why = f"it is longer than {MAX_KEY_BYTES} bytes"
    if why:
        raise InputError(f"{key[:200]!r} is no valid key: {why}; rename it")
    return key
