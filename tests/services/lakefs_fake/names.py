"""The rules for names, and refs with their modifiers (``main~1``, ``v1^2``, ``main@``)."""

from __future__ import annotations

import re
from typing import NamedTuple

from services.lakefs_fake.errors import Invalid

_REPOSITORY = re.compile(r"[a-z0-9][a-z0-9-]{2,62}")
_BRANCH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")
_TAG_FORBIDDEN = re.compile(r"[\x00-\x20/^:?*\[\\]|\.\.|@\{")
_REF = re.compile(r"(?P<base>[^~^@$\s]+)(?P<modifiers>(?:[~^@$][^~^@$\s]*)*)")


def check_repository(name: str) -> None:
    if not _REPOSITORY.fullmatch(name):
        raise Invalid(f"repository id {name!r}: 3 to 63 of a-z, 0-9 and -, not starting with -")


def check_branch(name: str) -> None:
    if not _BRANCH.fullmatch(name):
        raise Invalid(f"branch id {name!r}: letters, digits, _ and -, not starting with -")


def check_tag(name: str) -> None:
    if (
        not name
        or name == "@"
        or name.endswith((".", ".lock"))
        or _TAG_FORBIDDEN.search(name) is not None
    ):
        raise Invalid(f"tag id {name!r}: no space, no / ^ : ? * [ \\, no .., no . at the end")


class Ref(NamedTuple):
    base: str  # a branch, a tag, a commit id or the start of one
    steps: list[tuple[str, int]]  # ("~", 2): two first parents back; ("^", 2): the second parent
    mark: str  # "@": the branch without what is staged; "$": with it; "": as the reader likes


def parse_ref(text: str) -> Ref:
    """Raises Invalid for a ref that cannot be one."""
    match = _REF.fullmatch(text)
    if match is None:
        raise Invalid(f"ref {text!r}")
    steps, mark = [], ""
    for sign, number in re.findall(r"([~^@$])([^~^@$]*)", match["modifiers"]):
        if sign in "@$":
            if match["modifiers"] != sign:
                raise Invalid(f"ref {text!r}: {sign} stands alone behind a branch")
            mark = sign
        elif number and not number.isdecimal():
            raise Invalid(f"ref {text!r}: no number behind {sign}")
        else:
            steps.append((sign, int(number or 1)))
    return Ref(match["base"], steps, mark)
