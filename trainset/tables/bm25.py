"""BM25 over strings in memory: full-text search where a table has no text index (small tables).

Same tokens, constants and formula as Lance's inverted index with our settings, so that scores do
not jump when an index becomes due.

Source: Robertson and Zaragoza 2009, "The Probabilistic Relevance Framework: BM25 and Beyond".
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

K1 = 1.2
B = 0.75
MAX_TOKEN = 40  # characters; longer ones are noise (hashes, base64) and are not indexed by Lance
_WORD = re.compile(r"[^\W_]+")


def tokenize(text: str) -> list[str]:
    """Lower-case words without accents; no stemming and no stop words (any language)."""
    folded = unicodedata.normalize("NFKD", text.lower())
    plain = "".join(c for c in folded if not unicodedata.combining(c))
    return [word for word in _WORD.findall(plain) if len(word) <= MAX_TOKEN]


def scores(documents: Iterable[tuple[int, str]], query: str) -> dict[int, float]:
    """BM25 score of every document that holds at least one word of ``query``.

    Args:
        documents: (id, text); read once, and only matching ones are kept.
    """
    words = set(tokenize(query))
    lengths: dict[int, int] = {}
    hits: dict[int, dict[str, int]] = {}
    frequency: Counter[str] = Counter()
    total = count = 0
    for id_, text in documents:
        tokens = tokenize(text)
        count, total = count + 1, total + len(tokens)
        found = {word: n for word, n in Counter(tokens).items() if word in words}
        if found:
            hits[id_], lengths[id_] = found, len(tokens)
            frequency.update(found.keys())
    average = total / count if count and total else 1.0
    idf = {w: math.log(1 + (count - n + 0.5) / (n + 0.5)) for w, n in frequency.items()}
    result = {}
    for id_, found in hits.items():
        norm = K1 * (1 - B + B * lengths[id_] / average)
        result[id_] = sum(idf[w] * n * (K1 + 1) / (n + norm) for w, n in found.items())
    return result
