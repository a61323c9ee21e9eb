"""URLs of media: the key each one gets, what makes two the same, and what may be shown of one."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import quote, unquote, unquote_to_bytes, urlsplit

from trainset.errors import InputError
from trainset.stores.keys import MAX_KEY_BYTES

_UNRESERVED = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"  # RFC 3986
_IN_PATH = "!$&'()*+,;=:@"
_ESCAPE = re.compile("%([0-9A-Fa-f]{2})")
_HOST = re.compile(r"[a-z0-9_][a-z0-9._-]*|\[[0-9a-f:.]+\]")
_MARKED = re.compile(r"~[0-9a-f]{16}$")
_PORTS = {"http": 80, "https": 443}
_SECRET = re.compile(
    r"sig|token|secret|passw|pwd|api_?key|auth|credential|accesskey|accessid|jwt|hmac|session"
    r"|^key$|^policy$|key-pair",
    re.IGNORECASE,
)
# What a signer adds, by the parameter that betrays it: a new signature is the same object.
_SIGNING = {
    "x-amz-signature": re.compile(r"x-amz-.*"),
    "x-goog-signature": re.compile(r"x-goog-.*"),
    "key-pair-id": re.compile(r"key-pair-id|signature|expires|policy"),
    "awsaccesskeyid": re.compile(r"awsaccesskeyid|signature|expires|x-amz-security-token"),
    "sig": re.compile(r"sig|s[vestripk]|srt|spr|sip|sdd|ske|sks|skt|skv|skoid|sktid"),
}


class Url(NamedTuple):
    """One http(s) URL.

    Attributes:
        request: what is asked for; without user info and fragment.
        auth: "user:password" of the URL, for its own host only.
        key: valid in any store (``check_key``), and not hidden.
        host: the key's first folder.
    """

    request: str
    auth: str | None
    key: str
    host: str


def parse_url(text: str) -> Url:
    """Take an http(s) URL apart, and name it.

    The key is ``<host>/<path>`` with escapes undone. Where that would not be unique (a query, an
    escaped "/", an odd character, a hidden or empty name, an overlong path), ``~`` and 16 hex
    digits of a hash stand before the extension. Scheme, user info, fragment and the parameters
    of a signature (S3, GCS, Azure, CloudFront) do not count: two URLs that differ in these only
    are the same medium.

    Raises:
        InputError: it is no http(s) URL; the text shows no secret.
    """
    text = text.strip()
    try:
        text.encode()
        parts = urlsplit(text)
        port, host = parts.port, parts.hostname or ""
        host = host if host.isascii() else host.encode("idna").decode()
    except ValueError as err:  # UnicodeError too
        raise InputError(f"{safe_url(text)!r} is no URL; mend or remove it") from err
    host = f"[{host}]" if ":" in host else host
    if parts.scheme not in _PORTS or not _HOST.fullmatch(host):
        raise InputError(f"{safe_url(text)!r} is no http(s) URL; mend or remove it")
    if port not in (None, _PORTS[parts.scheme]):
        host += f":{port}"
    segments = [_normal(segment, _IN_PATH) for segment in parts.path[1:].split("/")]
    path = "/" + "/".join(_without_dots(segments))
    query = _normal(parts.query, _IN_PATH + "/?")
    user = parts.netloc.rpartition("@")[0]
    return Url(
        request=f"{parts.scheme}://{host}{path}" + (f"?{query}" if query else ""),
        auth=unquote(user) if user else None,
        key=_key(host, path, _lasting(query)),
        host=host,
    )


def safe_url(url: str) -> str:
    """``url`` as it may be shown and stored: no user info, no secret parameters, no fragment."""
    url = re.sub(r"(?<=://)[^/?#\s]*@", "", ascii_if_odd(url))
    head, mark, query = url.partition("#")[0].partition("?")
    return head + mark + "&".join(_shown(pair) for pair in query.split("&"))


def safe_text(text: str) -> str:
    """A library's words without the secrets of the URLs in them."""
    text = re.sub(r"(?<=://)[^/?#\s]*@", "", ascii_if_odd(text))
    return re.sub(r"[^?&\s=]+=[^&\s]+", lambda pair: _shown(pair[0]), text)


def has_secret(url: str) -> bool:
    """Whether ``url`` holds a password or a signature."""
    if re.search(r"://[^/?#@\s]*:[^/?#\s]*@", url):
        return True
    query = url.partition("#")[0].partition("?")[2]
    return any(_shown(pair) != pair for pair in query.split("&"))


def ascii_if_odd(text: str) -> str:
    """``text`` as valid Unicode."""
    return text.encode("utf-8", "backslashreplace").decode()


def _shown(pair: str) -> str:
    name, _, value = pair.partition("=")
    return f"{name}=***" if value and _SECRET.search(name) else pair


def _normal(text: str, safe: str) -> str:
    """The normal form of RFC 3986: no needless escape, and none missing."""

    def kept(match: re.Match[str]) -> str:
        char = chr(int(match[1], 16))
        return char if char in _UNRESERVED else match[0].upper()

    text = re.sub("%(?![0-9A-Fa-f]{2})", "%25", text)
    return _ESCAPE.sub(kept, quote(text, safe=safe + "%"))


def _without_dots(segments: Sequence[str]) -> list[str]:
    """Path segments with "." and ".." resolved, as every client does before it asks."""
    kept: list[str] = []
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    return [*kept, ""] if segments[-1] in (".", "..") else kept


def _lasting(query: str) -> str:
    """The query without the parameters that only sign it."""
    pairs = [pair for pair in query.split("&") if pair]
    names = [pair.partition("=")[0].lower() for pair in pairs]
    signing = [rule for sign, rule in _SIGNING.items() if sign in names]
    return "&".join(
        pair
        for pair, name in zip(pairs, names, strict=True)
        if not any(rule.fullmatch(name) for rule in signing)
    )


def _key(host: str, path: str, query: str) -> str:
    raw = path[1:].split("/")
    names = [_name(segment) for segment in raw]
    plain = [quote(n, safe=_IN_PATH) for n in names] == raw
    if not names[-1]:
        names[-1] = "index"
    key = "/".join([host, *(name or "_" for name in names)])
    stem, extension = _split(key)
    if (
        plain
        and not query
        and all(raw)
        and not _MARKED.search(stem)
        and len(key.encode()) <= MAX_KEY_BYTES
    ):
        return key
    identity = f"{host}{path}?{query}"
    mark = "~" + hashlib.sha256(identity.encode()).hexdigest()[:16] + extension
    room = MAX_KEY_BYTES - len(mark)
    return stem.encode()[:room].decode("utf-8", "ignore") + mark


def _name(segment: str) -> str:
    """One segment of a path as a file name; "" stays."""
    text = unquote_to_bytes(segment).decode("utf-8", "backslashreplace")
    text = "".join(c if c.isprintable() and c != "/" else "_" for c in text)
    return "_" + text[1:] if text.startswith(".") else text


def _split(key: str) -> tuple[str, str]:
    match = re.fullmatch(r"(.*[^/])(\.[A-Za-z0-9]{1,10})", key, re.DOTALL)
    return (match[1], match[2]) if match and "/" in match[1] else (key, "")
