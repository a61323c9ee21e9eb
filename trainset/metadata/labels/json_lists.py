"""Large JSON files without their whole tree in memory: long lists are parsed element by element.

A parsed label file takes eight times its size. Only the brackets are looked for first (of all
bytes at once, with numpy); what stands between them is parsed when it is asked for.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, overload

import numpy as np
import orjson
from numpy.typing import NDArray

from trainset.metadata.records import load_json

_BLOCK = 1 << 18  # bytes looked at at once: they and what is made of them stay in the CPU's cache
_SPACE = b" \t\r\n"
_QUOTE, _BACKSLASH, _POINT = b'"\\.'
_STEP = np.zeros(256, np.int8)  # how a byte outside of strings changes the depth
_STEP[list(b"[{")], _STEP[list(b"]}")] = 1, -1
_LONG = 19  # digits: orjson makes floats of integers that 64 bits do not hold

Ints = NDArray[np.int64]


class BrokenJson(ValueError):
    """The text is no JSON, or too deeply nested to be read."""


class JsonList(Sequence[Any]):
    """The objects and lists in one JSON list, each parsed anew whenever it is asked for."""

    def __init__(self, data: bytes, starts: Ints, ends: Ints, long: Ints) -> None:
        self._data, self._starts, self._ends = data, starts, ends
        self._odd = set((np.searchsorted(starts, long, side="right") - 1).tolist())

    def __len__(self) -> int:
        return len(self._starts)

    @overload
    def __getitem__(self, at: int) -> Any: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Any]: ...
    def __getitem__(self, at: int | slice) -> Any:
        """Raises BrokenJson."""
        if isinstance(at, slice):
            return [self[i] for i in range(*at.indices(len(self)))]
        at = range(len(self))[at]
        return self._parse(at, int(self._starts[at]), int(self._ends[at]))

    def __iter__(self) -> Iterator[Any]:
        for first in range(0, len(self), 1000):
            some = slice(first, first + 1000)
            spans = zip(self._starts[some].tolist(), self._ends[some].tolist(), strict=True)
            for i, (start, end) in enumerate(spans, first):
                yield self._parse(i, start, end)

    def _parse(self, i: int, start: int, end: int) -> Any:
        text = self._data[start:end]
        if i not in self._odd:
            try:
                return orjson.loads(text)
            except orjson.JSONDecodeError:
                pass  # NaN, or half a character: ``load_json`` reads more than the standard
        return _load(text, start)


def open_json(data: bytes) -> Any:
    """As ``load_json``, but lists of objects at the top, or right below it, are ``JsonList``s.

    Raises:
        BrokenJson: here, or when the element that is broken is parsed.
    """
    try:
        found = _brackets(data)
        return _open(data, found)
    except _Odd:  # not what it looks like to us; in another encoding than UTF-8, or broken
        return _load(data, 0)


class _Odd(Exception):
    """The brackets do not fit."""


class _Brackets(NamedTuple):
    """The outer brackets, in the order of the file.

    Attributes:
        at: byte positions.
        levels: of the value that opens or closes there: 1 the top, 3 at most.
        opens: whether it opens.
        long: where so many digits stand that they may be too long an integer.
    """

    at: Ints
    levels: Ints
    opens: NDArray[np.bool_]
    long: Ints


def _open(data: bytes, found: _Brackets) -> Any:
    tops = found.at[found.levels == 1]
    if len(tops) != 2 or data[: tops[0]].strip(_SPACE) or data[tops[1] + 1 :].strip(_SPACE):
        raise _Odd
    start, end = int(tops[0]), int(tops[1]) + 1
    if data[start] == ord("["):
        return _list(data, found, start, end, level=2)
    second = found.levels == 2
    starts, ends = found.at[second & found.opens].tolist(), found.at[second & ~found.opens].tolist()
    top: dict[str, Any] = {}
    after = start + 1
    for opens, closes in zip(starts, ends, strict=True):
        *plain, (name, _) = _members(data[after:opens] + b"null", first=after == start + 1)
        top.update(plain)
        if data[opens] == ord("["):
            top[name] = _list(data, found, opens, closes + 1, level=3)
        else:
            top[name] = _load(data[opens : closes + 1], opens)
        after = closes + 1
    if rest := data[after : end - 1].strip(_SPACE):
        top.update(_members(rest, first=after == start + 1))
    return top


def _members(text: bytes, *, first: bool) -> list[tuple[str, Any]]:
    """Names and values of the part of an object between two of its brackets."""
    text = text.lstrip(_SPACE)
    if not first and not text.startswith(b","):
        raise _Odd
    try:
        pairs: list[tuple[str, Any]] = json.loads(
            b"{" + (text if first else text[1:]) + b"}", object_pairs_hook=list, parse_constant=str
        )
    except ValueError:
        raise _Odd from None
    if not pairs:
        raise _Odd
    return pairs


def _list(data: bytes, found: _Brackets, start: int, end: int, *, level: int) -> Any:
    """A list as ``JsonList``; parsed at once where it holds anything but objects and lists."""
    if data[end - 1] != ord("]"):
        raise _Odd
    inside = (found.levels == level) & (found.at > start) & (found.at < end)
    starts, ends = found.at[inside & found.opens], found.at[inside & ~found.opens] + 1
    edges = zip(ends[:-1].tolist(), starts[1:].tolist(), strict=True)
    between = {data[a:b].strip(_SPACE) for a, b in edges}
    outside = data[start + 1 : starts[0]] + data[ends[-1] : end - 1] if len(starts) else b"?"
    if not between <= {b","} or outside.strip(_SPACE):
        return _load(data[start:end], start)
    return JsonList(data, starts, ends, found.long[(found.long > start) & (found.long < end)])


def _load(text: bytes, start: int) -> Any:
    try:
        return load_json(text)
    except ValueError as err:
        raise BrokenJson(f"{err}, from byte {start} on" if start else str(err)) from err


def _brackets(data: bytes) -> _Brackets:
    """Raises _Odd where brackets or quotes are not balanced."""
    whole = np.frombuffer(data, np.uint8)
    parts: list[tuple[Ints, Ints, NDArray[np.bool_]]] = []
    long: list[Ints] = []
    start = depth = quoted = 0
    while start < len(data):
        end = min(start + _BLOCK, len(data))
        while end < len(data) and data[end - 1] == _BACKSLASH:
            end += 1  # what follows it belongs to it
        block = whole[start:end]
        at = np.flatnonzero(((block | 0x26) == 0x7F) | (block == _QUOTE))  # []{} and a few letters
        kinds = block[at]
        steps, quotes = _STEP[kinds], kinds == _QUOTE
        if data.find(b"\\", start, end) >= 0:
            quotes &= ~np.isin(at, _escaped(block))
        inside = quoted + np.cumsum(quotes)
        marks = (steps != 0) & (inside % 2 == 0)
        if len(inside):
            quoted = int(inside[-1]) % 2
        at, steps = at[marks], steps[marks]
        after = depth + np.cumsum(steps, dtype=np.int64)
        if len(after):
            depth = int(after[-1])
            levels = np.where(steps > 0, after, after + 1)
            outer = levels <= 3
            parts.append((at[outer] + start, levels[outer], steps[outer] > 0))
        long.append(_long_numbers(whole[max(0, start - _LONG) : end]) + max(0, start - _LONG))
        start = end
    if depth or quoted or not parts:
        raise _Odd
    at, levels, opens = (np.concatenate(column) for column in zip(*parts, strict=True))
    return _Brackets(at, levels, opens, np.unique(np.concatenate(long)))


def _escaped(block: NDArray[np.uint8]) -> Ints:
    """Where bytes stand behind an odd number of backslashes."""
    slashes = np.flatnonzero(block == _BACKSLASH)
    first = np.flatnonzero(np.diff(slashes, prepend=-2) != 1)
    runs = np.diff(first, append=len(slashes))
    return slashes[first] + np.where(runs % 2 == 1, runs, -len(block))


def _long_numbers(block: NDArray[np.uint8]) -> Ints:
    """Where runs of ``_LONG`` or more digits begin that are no decimals."""
    digits = (block - ord("0")) < 10
    runs = digits[1:] & digits[:-1]  # two
    for more in (2, 4, 8):
        runs = runs[more:] & runs[:-more]
    runs = runs[_LONG - 16 :] & runs[: 16 - _LONG]
    at = np.flatnonzero(runs)
    before = block[at - 1]
    begins = (at == 0) | ((before - ord("0") > 9) & (before != _POINT))
    return np.asarray(at[begins], np.int64)
