"""The streaming planner decides as a plain one does that holds everything in memory."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainset.spec import MediaSource, TransferSpec
from trainset.transfer import plan as plan_module
from trainset.transfer.base import SourceFile, transfer_left_out, transfer_totals
from trainset.transfer.base_rows import BaseRow, BaseRows
from trainset.transfer.plan import Planner, plan_transfer
from trainset.transfer.route import Router

NOW = datetime(2026, 11, 22, tzinfo=UTC)
SOURCES = [
    MediaSource.model_validate({"name": name, "from": "/x", "min_age": age})
    for name, age in (("a", "60s"), ("b", "0s"))
]
RULES = TransferSpec.model_validate(
    {
        "unmatched": "fail",
        "routes": [
            {"name": "tmp", "path": "**/*.tmp", "skip": "half-written"},
            {"name": "wide", "where": "width > 640 and size < 3"},
            {"name": "rest", "path": ["**/*.jpg", "**/*.mp4"]},
        ],
    }
)
PATHS = st.sampled_from(
    [f"{d}{n}.{e}" for d in ("", "d/") for n in "12" for e in ("jpg", "tmp", "x")]
)
KEYS = st.tuples(st.sampled_from("abz"), PATHS).map("/".join)
LISTED = st.dictionaries(
    KEYS.filter(lambda key: not key.startswith("z")),
    st.tuples(st.integers(0, 9), st.sampled_from("12"), st.sampled_from([-90, -9, 9, 90])),
)
ROWS = st.dictionaries(
    KEYS,
    st.builds(
        BaseRow,
        st.none() | st.integers(0, 9),
        st.none() | st.sampled_from("12"),
        st.sampled_from(["present", "missing"]),
    ),
)


def file(key: str, size: int, version: str, age_s: int) -> SourceFile:
    source, path = key.split("/", 1)
    modified = NOW - timedelta(seconds=age_s)
    return SourceFile(
        key=key,
        source=source,
        path=path,
        uri=f"/x/{path}",
        size=size,
        version=version,
        modified=modified,
    )


def naive(
    files: list[SourceFile], base: dict[str, BaseRow], unlisted: list[str]
) -> dict[str, list[str]]:
    """Keys by what becomes of them, from the words of the specification."""
    found: dict[str, list[str]] = {name: [] for name in NAMES}
    for one in files:
        row = base.get(one.key)
        if row is not None and row.size == one.size and row.source_version == one.version:
            found["unchanged"].append(one.key)
            if row.source_state == "missing":
                found["returned"].append(one.key)
        elif one.path.endswith(".tmp"):
            found["skipped"].append(one.key)
        elif one.path.endswith(".x") and one.size >= 3:
            found["failed"].append(one.key)
        elif one.source == "a" and abs((NOW - one.modified).total_seconds()) < 60:
            found["deferred"].append(one.key)
        else:
            found["moving"].append(one.key)
    listed = {one.key for one in files}
    for key, row in base.items():
        seen = key in listed or key.startswith("z/")
        if not seen and not any(key.startswith(prefix) for prefix in unlisted):
            name = "still_missing" if row.source_state == "missing" else "missing"
            found[name].append(key)
    return found


STAYS, ENDS = ("unchanged", "returned"), ("skipped", "failed", "deferred")
NAMES = (*STAYS, *ENDS, "moving", "missing", "still_missing")


@settings(deadline=None)
@given(
    LISTED,
    ROWS,
    st.sampled_from([[], ["b/d/"], ["a/d/", "b/1"], ["a/", "b/"]]),
    st.integers(1, 3),
    st.integers(1, 12),
    st.integers(1, 3),
)
def test_the_planner_equals_a_naive_one(
    listed: dict[str, tuple[int, str, int]],
    base: dict[str, BaseRow],
    unlisted: list[str],
    batch_files: int,
    batch_bytes: int,
    looked_up: int,
) -> None:
    files = [file(key, *rest) for key, rest in sorted(listed.items())]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan_module, "_LOOKED_UP", looked_up)  # a listing of many chunks
        plan = plan_transfer(
            files,
            base,
            SOURCES,
            now=NOW,
            route=Router(RULES).route,
            unlisted=unlisted,
            batch_files=batch_files,
            batch_bytes=batch_bytes,
        )
    wanted = naive(files, base, unlisted)
    by_status = {
        status: [o.file.key for o in plan.outcomes if o.status == status]
        for status in ("skipped", "failed", "deferred")
    }
    assert by_status == {name: wanted[name] for name in by_status}
    assert [f.key for batch in plan.batches for f in batch] == wanted["moving"]
    assert list(plan.returned) == wanted["returned"]
    assert sorted(plan.missing) == sorted(wanted["missing"])
    assert sorted(plan.still_missing) == sorted(wanted["still_missing"])
    assert plan.unchanged == len(wanted["unchanged"])
    assert plan.unchanged + len(plan.outcomes) + plan.files == len(files)
    assert transfer_totals(plan.outcomes).balances
    for batch in plan.batches:
        assert 1 <= len(batch) <= batch_files
        assert len(batch) == 1 or sum(f.size for f in batch) <= batch_bytes


def test_what_a_rule_skips_is_counted_with_its_reason_but_not_left_out() -> None:
    files = [file("b/a.tmp", 1, "1", 90), file("b/a.x", 5, "1", 90), file("b/a.jpg", 5, "1", 90)]
    plan = plan_transfer(files, {}, SOURCES, now=NOW, route=Router(RULES).route)
    skipped, refused = plan.outcomes
    assert (skipped.status, skipped.route, skipped.reason) == ("skipped", "tmp", "half-written")
    assert (refused.status, refused.route, refused.kind) == ("failed", None, "unmatched")
    assert [one.key for one in transfer_left_out(plan.outcomes)] == ["b/a.x"]
    assert plan.files == 1


def test_rules_are_not_asked_about_what_the_home_holds() -> None:
    base = {"b/a.tmp": BaseRow(1, "1")}
    plan = plan_transfer(
        [file("b/a.tmp", 1, "1", 90)], base, SOURCES, now=NOW, route=Router(RULES).route
    )
    assert (plan.unchanged, plan.outcomes, plan.missing) == (1, (), ())


def test_what_is_missing_is_not_told_before_the_listing_has_ended() -> None:
    planner = Planner(BaseRows({"b/1.jpg": BaseRow(1, "1")}), SOURCES, now=NOW)
    batches = planner.batches([file("b/2.jpg", 1, "1", 90), file("b/3.jpg", 1, "1", 90)])
    with pytest.raises(RuntimeError, match="read to its end"):
        next(planner.missing())
    assert len(list(batches)) == 1
    assert list(planner.missing()) == [("b/1.jpg", False)]


def test_a_listing_that_breaks_off_marks_nothing_missing() -> None:
    def broken() -> object:
        yield file("b/1.jpg", 1, "1", 90)
        raise OSError("the disk is gone")

    planner = Planner(BaseRows({"b/9.jpg": BaseRow(1, "1")}), SOURCES, now=NOW)
    with pytest.raises(OSError, match="gone"):
        list(planner.batches(broken()))  # type: ignore[arg-type]
    with pytest.raises(RuntimeError):
        next(planner.missing())
