"""The outline of a JSON text from its beginning alone: what it is made of, without parsing it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+')


@dataclass
class Outline:
    """Field names of the top object, and of the objects in the top list or in each list below it.

    Attributes:
        top: ``object``, ``array`` or ``other``.
        keys: names in the top object, in order.
        inner: names in the objects of each such list, by its name; ``""`` for a top array.
        closed: the top value ends within the text.
        broken: the text cannot be the beginning of JSON.
    """

    top: str = "other"
    keys: list[str] = field(default_factory=list)
    inner: dict[str, list[str]] = field(default_factory=dict)
    closed: bool = False
    broken: bool = False


def outline(text: str) -> Outline:
    """Scan the beginning of a JSON text; it may be cut off anywhere."""
    found = Outline()
    text = text.lstrip()
    if not text or text[0] not in "{[":
        return found
    found.top = "object" if text[0] == "{" else "array"
    open_with: list[str] = []
    path: list[str] = []  # the name under which each open value stands; "" within a list
    name = ""
    expects_name = False
    end = 0
    for token in _TOKEN.finditer(text):
        if text[end : token.start()].strip():
            found.broken = not _is_cut_string(text[end:])
            break
        end, word = token.end(), token[0]
        if word in "{[":
            path.append(name)
            open_with.append(word)
            name, expects_name = "", word == "{"
            continue
        if word in "}]":
            if not open_with or open_with.pop() + word not in ("{}", "[]"):
                found.broken = True
                break
            path.pop()
            name, expects_name = "", False
            if not open_with:
                found.closed = True
                break
        elif word == ",":
            name, expects_name = "", bool(open_with) and open_with[-1] == "{"
        elif expects_name and word != ":":
            if not word.startswith('"'):
                found.broken = True
                break
            name, expects_name = _unquoted(word), False
            _note(found, open_with, path, name)
    return found


def _note(found: Outline, open_with: list[str], path: list[str], name: str) -> None:
    if open_with == ["{"]:
        found.keys.append(name)
    elif open_with in (["[", "{"], ["{", "[", "{"]):
        names = found.inner.setdefault(path[1], [])
        if name not in names:
            names.append(name)


def _is_cut_string(rest: str) -> bool:
    return rest.lstrip().startswith('"')


def _unquoted(word: str) -> str:
    try:
        return str(json.loads(word))
    except ValueError:
        return word.strip('"')
