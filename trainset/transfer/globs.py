"""Path patterns: ``*`` and ``?`` stay in a folder, ``**`` crosses folders, ``[a-z]`` is a class."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence


def path_filter(include: Sequence[str], exclude: Sequence[str]) -> Callable[[str], bool]:
    """A test for ``/``-separated paths: some include fits, and no exclude does.

    Patterns fit the whole path and heed case: ``*.jpg`` is a file at the top, ``**/*.jpg`` one
    at any depth. A pattern that ends in ``/`` stands for everything below that folder.
    """
    taken, left = _any(include), _any(exclude)
    return lambda path: bool(taken(path)) and not left(path)


def _any(patterns: Sequence[str]) -> Callable[[str], re.Match[str] | None]:
    if not patterns:
        return lambda path: None
    return re.compile("|".join(f"(?:{glob_to_regex(p)})" for p in patterns), re.DOTALL).fullmatch


def glob_to_regex(pattern: str) -> str:
    """The pattern as a regular expression for ``fullmatch``."""
    pattern = pattern.removeprefix("./")
    if pattern.endswith("/"):
        pattern += "**"
    out, at = [], 0
    while at < len(pattern):
        rest = pattern[at:]
        if rest.startswith("**/") and (at == 0 or pattern[at - 1] == "/"):
            out.append("(?:.*/)?")
            at += 3
        elif rest.startswith("**"):
            out.append(".*")
            at += 2
        elif rest[0] == "*":
            out.append("[^/]*")
            at += 1
        elif rest[0] == "?":
            out.append("[^/]")
            at += 1
        elif match := re.match(r"\[([!^]?)(\]?[^\]/]*)\]", rest):
            inside = re.sub(r"([\\\[\]^])", r"\\\1", match[2])
            out.append(f"(?!/)[{'^' if match[1] else ''}{inside}]")
            at += match.end()
        else:
            out.append(re.escape(rest[0]))
            at += 1
    return "".join(out)
