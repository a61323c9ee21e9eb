"""The ladder for columns gives what the ladder for one reference gives, for any names."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import example, given, settings
from hypothesis import strategies as st

from trainset.metadata.align import METHODS
from trainset.metadata.align.climb import resolve
from trainset.metadata.align.ladder import MediaIndex
from trainset.metadata.align.ladder_columns import MediaColumns
from trainset.metadata.align.name_columns import Slashes, column, stems, without_tool_prefixes
from trainset.metadata.align.spelling import spell, spell_decoded
from trainset.metadata.names import decoded, normal, stem, without_scheme, without_tool_prefix

_DIGEST = "ab" * 32
_NAMES = "a b c . .. .x x x.jpg y.jpg x.mp4 x.7z a. deadbeef-x.jpg deadbeef- s3: %20 a?q a#f \\"
_segment = st.sampled_from(
    [*_NAMES.split(), "\u00e4", "a\u0308.jpg", "x\u00e9.J\u00f6G", "b c", ""]
)
_path = st.lists(_segment, max_size=5).map("/".join)
_uri = st.tuples(
    st.sampled_from(["", "/", "s3://", "file://", "/data/", "data/", "s3://k/"]), _path
)
_text = _uri.map("".join) | st.sampled_from([_DIGEST, f"sha256:{_DIGEST.upper()}", "", " "])
_texts = st.lists(_text | st.text(max_size=6), max_size=12)


@given(_texts)
@example(["a/", "/b", "s3:/", "/x", "s3://b", "/s3://b/x", "x.y/s3://b/x", "a//b", "."])
def test_columns_of_names_are_cut_like_single_names(found: list[str]) -> None:
    values = column(pa.array(found, pa.string()))
    first = spell(values)
    assert first.ref.to_pylist() == [normal(t) for t in found]
    assert first.place.to_pylist() == [without_scheme(normal(t)) for t in found]
    assert first.tail.to_pylist() == [
        "/".join(s for s in without_scheme(normal(t)).split("/") if s != "..") for t in found
    ]
    at, second = spell_decoded(values, first)
    assert dict(zip(at.tolist(), second.ref.to_pylist(), strict=True)) == {
        i: decoded(t) for i, t in enumerate(found) if decoded(t) != normal(t)
    }
    cuts = Slashes(values)
    assert cuts.last(1).to_pylist() == [t.rpartition("/")[2] for t in found]
    assert cuts.last(2).to_pylist() == ["/".join(t.split("/")[-2:]) for t in found]
    assert cuts.without_first().to_pylist() == [t.partition("/")[2] for t in found]
    assert cuts.folder().to_pylist() == [t.rpartition("/")[0] for t in found]
    assert cuts.segments.tolist() == [len(t.split("/")) for t in found]
    names = cuts.last(1)
    assert stems(names).to_pylist() == [stem(n) for n in names.to_pylist()]
    shorter, which = without_tool_prefixes(names)
    assert shorter.to_pylist() == [without_tool_prefix(n) for n in names.to_pylist()]
    assert which.tolist() == [without_tool_prefix(n) != n for n in names.to_pylist()]


@given(
    st.lists(
        st.tuples(_path, _uri, st.sampled_from([None, None, _DIGEST, "cd" * 32])), max_size=10
    ),
    st.lists(
        st.tuples(_text, st.integers(-1, 2), st.sampled_from([None, None, _DIGEST])), max_size=10
    ),
    st.lists(_uri.map(lambda u: f"{''.join(u)}/labels.json"), min_size=3, max_size=3),
    st.permutations(METHODS).flatmap(lambda m: st.integers(1, 5).map(lambda n: m[:n]))
    | st.just(list(METHODS)),
    st.booleans(),
)
@example([("", ("", "a./a"), None)], [("", 0, None)], ["a./a/l.json"] * 3, list(METHODS), False)
@settings(max_examples=400)
def test_columns_climb_like_single_references(
    media: list[tuple[str, tuple[str, str], str | None]],
    records: list[tuple[str, int, str | None]],
    labels: list[str],
    methods: list[str],
    placed: bool,
) -> None:
    keys = [f"cam/{path}" for path, _, _ in media]
    uris = [f"/data/{path}" if placed else "".join(uri) or None for path, uri, _ in media]
    digests = [digest for _, _, digest in media]
    index = MediaIndex(keys, uris, digests)
    wanted = [
        index.resolve(ref, methods, label_uri=labels[of] if of >= 0 else None, sha256=digest)
        for ref, of, digest in records
    ]
    text = pa.string()
    columns = MediaColumns(*(pa.chunked_array([c], text) for c in (keys, uris, digests)))
    refs, of, said = ([r[i] for r in records] for i in range(3))

    found = resolve(
        columns,
        pa.array(refs, text),
        methods,
        label_uris=labels,
        label_of=np.array(of, np.int64),
        digests=pa.array(said, text),
    )
    several = set(found.several.tolist())
    for i, match in enumerate(wanted):
        if match.method:
            assert (methods[found.method[i]], found.medium[i]) == (
                match.method,
                match.candidates[0],
            )
        else:
            assert found.medium[i] == found.method[i] == -1
            assert (i in several) == bool(match.candidates)
            if match.candidates:
                assert tuple(found.candidates(i, 99).tolist()) == match.candidates
