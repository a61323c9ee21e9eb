"""One page of a bucket's listing, and reading it from the XML that a server sends.

Source: "ListObjectsV2", Amazon S3 API Reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote_plus

from trainset.errors import TransientError

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element


PAGE = 1000  # objects that a server shows at once, at most


class Item(NamedTuple):
    """One object; ``name`` in the bucket, ``size`` in bytes, ``etag`` without quotes."""

    name: str
    size: int
    etag: str
    modified: datetime


class Page(NamedTuple):
    """Objects in the order of their names; ``token`` asks for the next page, None: the last."""

    items: Sequence[Item]
    token: str | None


def page_query(prefix: str, start_after: str, token: str | None, limit: int) -> dict[str, str]:
    """The query of a request for one page. Names come percent-encoded: XML has not all letters."""
    query = {"list-type": "2", "encoding-type": "url", "max-keys": f"{limit}", "prefix": prefix}
    if start_after:
        query["start-after"] = start_after
    if token is not None:
        query["continuation-token"] = token
    return query


def parse_page(text: bytes) -> Page:
    """Raises TransientError when ``text`` is no page of a listing, or not all of one."""
    from xml.etree import ElementTree  # late: most runs list nothing

    try:
        root = ElementTree.fromstring(text)
        space = root.tag.removesuffix("ListBucketResult")
        encoded = root.findtext(f"{space}EncodingType") == "url"
        items = tuple(_item(found, space, encoded) for found in root.iterfind(f"{space}Contents"))
        more = root.findtext(f"{space}IsTruncated") == "true"
        token = root.findtext(f"{space}NextContinuationToken") if more else None
    except (ElementTree.ParseError, KeyError, ValueError) as err:
        raise TransientError(f"what came is no listing ({err!r}); run again") from err
    if space == root.tag or more != bool(token):
        raise TransientError(f"what came is no whole listing ({root.tag}); run again")
    return Page(items, token)


def _item(found: Element, space: str, encoded: bool) -> Item:
    facts = {child.tag.removeprefix(space): child.text or "" for child in found}
    return Item(
        unquote_plus(facts["Key"]) if encoded else facts["Key"],
        int(facts["Size"]),
        facts["ETag"].strip('"'),
        datetime.fromisoformat(facts["LastModified"]),
    )
