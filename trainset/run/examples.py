"""Example searches for a run's report: one of each kind that this dataset can answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from trainset.dataset import Dataset
from trainset.errors import InputError
from trainset.identity import hash128
from trainset.model import Frozen
from trainset.report.model import Hit, Search
from trainset.spec import ColumnSpec, DatasetSpec
from trainset.stores.atomic import replacing

SAMPLE = "sample"  # the name that the demo gives to what trainset draws itself
TINY = "tiny-clip"  # and the name of the folder of the model that was trained on such drawings
HITS = 5
SHORTEST_WORD = 5
NO_TEXT = (
    "No example of a text search: the images were embedded by the small model that this project "
    "trains itself, which knows coloured shapes and nothing else. Name a real one, as in "
    "make demo MODEL=ViT-B-32/laion2b_s34b_b79k, to search photographs by words."
)


class Examples(Frozen):
    """Searches with their answers, and notes on what was not asked."""

    searches: tuple[Search, ...] = ()
    notes: tuple[str, ...] = ()


def example_searches(dataset: Dataset, spec: DatasetSpec) -> Examples:
    """The examples of a commit; asked once, because encoding a query loads the whole model.

    They are kept in the home's state: a commit never changes, and neither do its answers.
    """
    asked = hash128([dataset.commit.id, spec.model_dump(mode="json")])
    kept = dataset.home.state / "cache" / "examples" / f"{asked}.json"
    if kept.exists():
        return Examples.model_validate_json(kept.read_bytes())
    searches, notes = _ask_all(dataset, spec)
    examples = Examples(searches=tuple(searches), notes=tuple(notes))
    with replacing(kept) as file:
        file.write(examples.model_dump_json().encode())
    return examples


def _ask_all(dataset: Dataset, spec: DatasetSpec) -> tuple[list[Search], list[str]]:
    if "media" not in dataset.tables():
        return [], []
    notes = []
    label = _commonest_class(dataset)
    clip = _column(spec, "open_clip")
    searches = [] if label is None else [_by_label(dataset, label)]
    if clip is not None:
        name, column = clip
        if spec.name == SAMPLE or not str(column.params.get("model", "")).endswith(TINY):
            text = _caption(dataset) or (f"a photo of a {label}" if label else "a photo")
            searches.append(_ask(dataset, "text", text, lambda v: v.search(text, k=HITS)))
        else:
            notes.append(NO_TEXT)
        searches += _like_an_image(dataset, name)
    if (ocr := _column(spec, "ocr")) is not None:
        searches += _by_word(dataset, ocr[0])
    return searches, notes


def _column(spec: DatasetSpec, op: str) -> tuple[str, ColumnSpec] | None:
    return next(((n, c) for n, c in spec.columns.items() if c.op == op), None)


def _by_label(dataset: Dataset, label: str) -> Search:
    quoted = label.replace("'", "''")
    where = f"annotations.class = '{quoted}'"
    return _ask(dataset, "filter", where, lambda v: v.where(where).limit(HITS))


def _like_an_image(dataset: Dataset, column: str) -> Iterator[Search]:
    view = dataset.table("media")
    if column not in view.schema.names:
        return
    there = f"{column} IS NOT NULL AND modality = 'image'"
    filled = view.where(there).select(["key", "uri", "version_id", "size"]).to_arrow()
    if filled.num_rows:
        # The largest file: small ones may be blank.
        order = [("size", "descending"), ("key", "ascending")]
        first = filled.sort_by(order).slice(0, 1).to_pylist()[0]
        image = dataset.read_media(first["uri"], first["version_id"])
        yield _ask(dataset, "image", first["key"], lambda v: v.search(image=image, k=HITS))


def _by_word(dataset: Dataset, column: str) -> Iterator[Search]:
    """A word that was read in few media, so that the answer can be checked by eye."""
    view = dataset.table("media")
    if column not in view.schema.names:
        return
    texts = view.where(f"{column} IS NOT NULL").select(["key", column]).to_arrow().sort_by("key")
    seen: dict[str, int] = {}
    for text in texts[column].to_pylist():
        for word in {w for w in text.split() if w.isalpha() and len(w) >= SHORTEST_WORD}:
            seen[word] = seen.get(word, 0) + 1
    if seen:
        word = min(seen, key=lambda w: (seen[w], -len(w), w))
        yield _ask(dataset, "words", word, lambda v: v.match(word, k=HITS, column=column))


def _ask(dataset: Dataset, kind: Any, query: str, ask: Any) -> Search:
    try:
        found: pa.Table = ask(dataset.table("media")).to_arrow()
    except InputError as err:
        return Search(kind=kind, query=query, note=str(err))
    if "_score" not in found.column_names:
        found = found.sort_by("key")
    labels = _labels(dataset, found["row_id"].to_pylist())
    hits = tuple(
        Hit(key=row["key"], score=row.get("_score"), text=labels.get(row["row_id"], ""))
        for row in found.select(
            [n for n in ("row_id", "key", "_score") if n in found.column_names]
        ).to_pylist()
    )
    return Search(kind=kind, query=query, hits=hits)


def _labels(dataset: Dataset, ids: list[str]) -> dict[str, str]:
    """Classes of each medium, for the line beside a hit."""
    if "annotations" not in dataset.tables():
        return {}
    view = dataset.table("annotations").select(["media_id", "class"]).to_arrow()
    wanted = view.filter(pc.is_in(view["media_id"], value_set=pa.array(ids, pa.string())))
    found: dict[str, set[str]] = {}
    for row in wanted.to_pylist():
        if row["class"]:
            found.setdefault(row["media_id"], set()).add(row["class"])
    return {media: ", ".join(sorted(classes)) for media, classes in found.items()}


def _caption(dataset: Dataset) -> str | None:
    """The shortest caption: what a person would type."""
    if "annotations" not in dataset.tables():
        return None
    said = dataset.table("annotations").where("kind = 'caption'").select(["text"]).to_arrow()
    found = [text for text in said["text"].to_pylist() if text]
    return min(found, key=lambda text: (len(text), text)) if found else None


def _commonest_class(dataset: Dataset) -> str | None:
    if "annotations" not in dataset.tables():
        return None
    view = dataset.table("annotations").select(["class", "media_id"]).to_arrow()
    counts = pc.value_counts(view.filter(pc.is_valid(view["media_id"]))["class"]).to_pylist()
    named = [(-c["counts"], c["values"]) for c in counts if c["values"]]
    return min(named)[1] if named else None
