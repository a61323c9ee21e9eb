"""What moves, by the listing and the base rows alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainset.spec import MediaSource
from trainset.transfer.base import SourceFile
from trainset.transfer.globs import path_filter
from trainset.transfer.plan import BaseRow, plan_transfer

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def source(name: str, min_age_s: float = 0) -> MediaSource:
    return MediaSource.model_validate({"name": name, "from": "/x", "min_age": min_age_s})


def file(key: str, size: int = 1, version: str = "1", age_s: float = 1e6) -> SourceFile:
    name, path = key.split("/", 1)
    return SourceFile(
        key=key,
        source=name,
        path=path,
        uri=f"/x/{path}",
        size=size,
        version=version,
        modified=NOW - timedelta(seconds=age_s),
    )


KEYS = st.sampled_from([f"{s}/{i}" for s in ("a", "b", "gone") for i in range(8)])
LISTED = st.dictionaries(
    KEYS.filter(lambda k: not k.startswith("gone")),
    st.tuples(st.integers(0, 9), st.sampled_from("12"), st.sampled_from([-50, 5, 500])),
)
ROWS = st.dictionaries(
    KEYS,
    st.builds(
        BaseRow, st.integers(0, 9), st.sampled_from("12"), st.sampled_from(["present", "missing"])
    ),
)


@settings(deadline=None)
@given(LISTED, ROWS, st.integers(1, 4), st.integers(1, 12), st.booleans())
def test_every_file_and_every_row_has_its_place(
    listed: dict[str, tuple[int, str, int]],
    base: dict[str, BaseRow],
    batch_files: int,
    batch_bytes: int,
    blind: bool,
) -> None:
    files = [file(k, size, version, age) for k, (size, version, age) in sorted(listed.items())]
    plan = plan_transfer(
        files,
        base,
        [source("a", 60), source("b")],
        now=NOW,
        unlisted=["b/7"] if blind else [],
        batch_files=batch_files,
        batch_bytes=batch_bytes,
    )
    planned = [f.key for batch in plan.batches for f in batch]
    waiting = [o.file.key for o in plan.deferred]
    unchanged = [f.key for f in files if base.get(f.key, (None,))[:2] == (f.size, f.version)]
    assert plan.unchanged == len(unchanged)
    assert sorted(planned + waiting + unchanged) == sorted(listed)
    assert set(plan.returned) == {k for k in unchanged if base[k].source_state == "missing"}
    for batch in plan.batches:
        assert 1 <= len(batch) <= batch_files
        assert len(batch) == 1 or sum(f.size for f in batch) <= batch_bytes
    ours = {k for k in base if k.split("/")[0] in ("a", "b")}
    unseen = {"b/7"} & ours - set(listed) if blind else set()
    absent = set(plan.missing) | set(plan.still_missing)
    assert not set(plan.missing) & set(plan.still_missing)
    assert absent | unseen == ours - set(listed)
    assert all(base[k].source_state == "present" for k in plan.missing)


def test_a_young_file_waits_and_its_row_stays() -> None:
    young, old = file("a/1", version="2", age_s=5), file("a/2", age_s=500)
    base = {"a/1": BaseRow(1, "1")}
    plan = plan_transfer([young, old], base, [source("a", 60)], now=NOW)
    assert [b[0].key for b in plan.batches] == ["a/2"]
    assert [(o.file.key, o.kind) for o in plan.deferred] == [("a/1", "too-young")]
    assert plan.missing == ()


def test_a_file_from_the_future_is_not_young_for_ever() -> None:
    plan = plan_transfer([file("a/1", age_s=-1e8)], {}, [source("a", 60)], now=NOW)
    assert plan.files == 1


def test_rows_of_a_source_that_was_not_listed_are_let_be() -> None:
    plan = plan_transfer([], {"other/1": BaseRow(1, "1")}, [source("a")], now=NOW)
    assert plan.missing == ()


@pytest.mark.parametrize(
    ("pattern", "fits", "misses"),
    [
        ("**/*", ["a", "a/b", "a/b/c.jpg"], []),
        ("**/*.jpg", ["x.jpg", "a/x.jpg", "a/b/x.jpg"], ["x.JPG", "x.jpg/y", "xjpg"]),
        ("*.jpg", ["x.jpg"], ["a/x.jpg"]),
        ("a/**", ["a/x", "a/b/c"], ["a", "ab/x"]),
        ("a/", ["a/x", "a/b/c"], ["a", "ab/x"]),
        ("**/tmp/**", ["tmp/x", "a/tmp/x", "a/tmp/b/x"], ["tmp", "atmp/x"]),
        ("a/**/z", ["a/z", "a/b/z", "a/b/c/z"], ["a/bz"]),
        ("a?c", ["abc"], ["a/c", "ac"]),
        ("[a-c][!x]", ["ay", "c1"], ["dy", "ax", "a/"]),
        ("a[]b]", ["a]", "ab"], ["ac"]),
        ("a[b", ["a[b"], ["ab"]),
        ("ü+(1).*", ["ü+(1).png"], ["ü1.png"]),
        ("./a.txt", ["a.txt"], []),
    ],
)
def test_patterns_fit_whole_paths(pattern: str, fits: list[str], misses: list[str]) -> None:
    wanted = path_filter([pattern], [])
    assert [p for p in fits if not wanted(p)] == []
    assert [p for p in misses if wanted(p)] == []


def test_exclude_wins_over_include() -> None:
    wanted = path_filter(["**/*.jpg", "*.pdf"], ["**/tmp/**"])
    assert [p for p in ("a.jpg", "tmp/a.jpg", "b.pdf", "x/b.pdf") if wanted(p)] == [
        "a.jpg",
        "b.pdf",
    ]
