"""Verification finds what is not at its destination as it was sent, at the level that can."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from services.s3_endpoint import S3Bucket
from transfer_bench import Bench

from trainset.stores.held import Held, Version
from trainset.stores.local import LocalStore
from trainset.transfer.base import Outcome
from trainset.transfer.reconcile import judge_held, reconcile
from trainset.transfer.verify import expected_of, verify_files, verify_outcomes
from trainset.transfer.verify_report import Expected, Source, VerifyResult, drawn, most_bad, needed

FILES = 12


def _sent(bench: Bench) -> list[Outcome]:
    for i in range(FILES):
        bench.write(f"{i:02}.bin", bytes([i]) * (100 + i))
    outcomes = sorted(bench.run(), key=lambda o: o.file.key)
    assert {o.status for o in outcomes} == {"sent"}
    return outcomes


def _verify(bench: Bench, outcomes: list[Outcome], level: Any, **options: Any) -> VerifyResult:
    result = verify_outcomes(
        outcomes, home=bench.home, sources={"cam": bench.store}, level=level, **options
    )
    assert result.balances
    assert result.expected == FILES
    return result


def _kinds(result: VerifyResult) -> dict[str, str]:
    assert all(fault.reason and fault.step for fault in result.faults)
    return {fault.key: fault.kind for fault in result.faults}


@pytest.mark.parametrize("level", ["L2", "L3", "L4"])
def test_what_was_sent_is_found_clean_at_every_level(any_bench: Bench, level: str) -> None:
    result = _verify(any_bench, _sent(any_bench), level)
    assert result.ok
    assert result.reached == {level: FILES}
    assert result.read == (0 if level == "L2" else FILES)


def test_below_l2_nothing_is_looked_at_and_the_balance_says_so(bench: Bench) -> None:
    result = _verify(bench, _sent(bench), "L1")
    assert (result.checked, result.unchecked) == (0, FILES)


def test_a_listing_finds_the_deleted_the_truncated_and_the_overwritten(
    any_bench: Bench,
) -> None:
    outcomes = _sent(any_bench)
    store, uris = any_bench.home.store, [str(o.uri) for o in outcomes]
    store.delete(uris[3])
    store.put(uris[5], b"short")
    store.put(uris[7], b"\xff" * outcomes[7].file.size)  # the same size, other bytes
    in_bucket = not isinstance(store, LocalStore)
    at_l2 = _verify(any_bench, outcomes, "L2")
    wanted = {"cam/03.bin": "missing", "cam/05.bin": "wrong-size"}
    if in_bucket:
        wanted |= {"cam/03.bin": "hidden"}
    found = _kinds(at_l2)
    assert found.items() >= wanted.items()
    if in_bucket:
        assert found["cam/07.bin"] in ("wrong-etag", "other-version")
    at_l3 = _verify(any_bench, outcomes, "L3")
    assert set(_kinds(at_l3)) == {"cam/03.bin", "cam/05.bin", "cam/07.bin"}
    assert not at_l3.ok


def test_an_object_for_good_deleted_is_missing(bench: Bench, s3_bucket: S3Bucket) -> None:
    bench.home.store = store = s3_bucket.store("home")
    outcomes = _sent(bench)
    uri = str(outcomes[0].uri)
    (version,) = store.list_versions(uri)
    which = {"Key": store.full_key(uri), "VersionId": version.version_id}
    store.client.delete_object(Bucket=store.bucket, **which)
    assert _kinds(_verify(bench, outcomes, "L2")) == {"cam/00.bin": "missing"}


def test_the_same_bytes_sent_twice_are_no_fault(bench: Bench, s3_bucket: S3Bucket) -> None:
    bench.home.store = store = s3_bucket.store("home")
    outcomes = _sent(bench)
    store.put(str(outcomes[0].uri), b"\0" * 100, sha256=outcomes[0].sha256)
    blind = [o.model_copy(update={"etag": None}) for o in outcomes]
    for known in (outcomes, blind):
        assert _verify(bench, known, "L3").ok


def test_extra_objects_are_listed_and_are_no_fault(any_bench: Bench) -> None:
    outcomes = _sent(any_bench)
    for key in ("media/00/0", "media/zz/z", "other/x"):
        any_bench.home.store.put(key, b"extra")
    files = [expected_of(o) for o in outcomes]
    result = verify_files(files, home=any_bench.home, sources={}, level="L2", whole=True)
    assert result.ok
    assert result.extra == 2
    assert [uri.rpartition("media/")[2] for uri in result.extras] == ["00/0", "zz/z"]


def test_reading_sources_again_finds_one_that_changed_and_one_that_is_gone(bench: Bench) -> None:
    outcomes = _sent(bench)
    bench.write("04.bin", b"changed since")
    (bench.folder / "06.bin").unlink()
    path = bench.folder / "08.bin"
    stat = path.stat()
    path.write_bytes(b"\xee" * stat.st_size)  # bit rot: size and time as they were
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert _verify(bench, outcomes, "L3").ok
    assert _kinds(_verify(bench, outcomes, "L4")) == {
        "cam/04.bin": "source-changed",
        "cam/06.bin": "source-missing",
        "cam/08.bin": "source-changed",
    }


def test_a_pinned_source_version_is_read_again_after_it_was_overwritten(
    bench: Bench, s3_bucket: S3Bucket
) -> None:
    raw = s3_bucket.store("raw")
    sent = raw.put("a.bin", b"first")
    raw.put("a.bin", b"second")
    pinned = Expected(
        key="cam/a.bin",
        uri=raw.uri("a.bin"),
        size=5,
        etag=sent.version,
        version_id=sent.version_id,
        sha256="a7937b64b8caa58f03721bb6bacf5c78cb235febe0e70b1b84cd99541461a08e",
        pinned=True,
        source=Source("cam", "a.bin", 5, sent.version, sent.version_id),
    )

    def look(level: Any) -> VerifyResult:
        return verify_files(
            [pinned],
            home=bench.home,
            sources={"cam": raw},
            level=level,
            open_place=lambda place: s3_bucket.store(),
        )

    assert look("L4").ok
    which = {"Key": raw.full_key("a.bin"), "VersionId": sent.version_id}
    raw.client.delete_object(Bucket=raw.bucket, **which)
    assert _kinds(look("L2")) == {"cam/a.bin": "version-gone"}


def test_a_sample_is_the_same_for_its_seed_and_proves_what_it_says(bench: Bench) -> None:
    outcomes = _sent(bench)
    seen: dict[int, set[str]] = {}
    for seed in (1, 2, 1):
        reached: set[str] = set()
        result = _verify(
            bench,
            outcomes[:: -1 if seed in seen else 1],
            "L3",
            sample=0.25,
            seed=seed,
            on_file=lambda check, into=reached: (
                into.add(check.key) if check.level == "L3" else None
            ),
        )
        assert result.read == 3
        assert result.reached == {"L2": FILES - 3, "L3": 3}
        assert "with 95% confidence fewer than" in result.statement
        assert seen.setdefault(seed, reached) == reached
    assert seen[1] != seen[2]


def test_files_that_share_an_object_share_its_fate(bench: Bench) -> None:
    for name in ("a.bin", "b.bin"):
        bench.write(name, b"the same")
    outcomes = bench.run()
    bench.home.store.put(str(outcomes[0].uri), b"otherwis")
    result = verify_outcomes(outcomes, home=bench.home, sources={}, level="L3")
    assert (result.objects, result.read, result.faulty) == (1, 1, 2)


def test_a_place_that_nobody_can_open_is_a_fault_of_its_files(bench: Bench) -> None:
    file = Expected(key="k", uri="gopher://x/y", size=1)
    result = verify_files([file], home=bench.home, sources={}, level="L2")
    assert result.balances
    assert [(f.kind, "gopher" in f.reason) for f in result.faults] == [("no-place", True)]


def test_long_stretches_of_a_large_home_are_skipped(tmp_path: Path) -> None:
    keys = [f"{i:05}" for i in range(6_000)]
    starts: list[str] = []
    walked = 0

    def listing(start: str) -> Any:
        nonlocal walked
        starts.append(start)
        for key in keys:
            if key > start:
                walked += 1
                yield Held(key, (Version(1, None, None),))

    wanted = [(key, i, Expected(key, key, 1)) for i, key in enumerate(("00002", "04321", "05999x"))]
    found = [m.fault and m.fault.kind for m in reconcile(wanted, listing, whole=False)]
    assert found == [None, None, "missing"]
    assert walked < 2_500
    assert len(starts) == 3


_KEYS = st.lists(st.text("abé\U0001f600/", min_size=1, max_size=4), max_size=30)


@settings(max_examples=200, deadline=None)
@given(wanted=_KEYS, there=_KEYS, whole=st.booleans())
def test_the_merge_finds_just_what_sets_would_find(
    wanted: list[str], there: list[str], whole: bool
) -> None:
    held = sorted(set(there), key=str.encode)
    expected = [
        (key, i, Expected(key, key, 1)) for i, key in enumerate(sorted(wanted, key=str.encode))
    ]
    found = list(
        reconcile(
            expected,
            lambda start: (Held(k, (Version(1, None, None),)) for k in held),
            whole=whole,
        )
    )
    missing = [m.key for m in found if m.fault is not None]
    assert missing == [key for key, _, _ in expected if key not in held]
    assert sum(m.file is not None for m in found) == len(expected)
    extra = [m.key for m in found if m.file is None]
    assert extra == ([k for k in held if k not in wanted] if whole else [])


@settings(max_examples=300, deadline=None)
@given(share=st.floats(1e-6, 0.999))
def test_so_many_clean_reads_rule_out_the_share_and_one_less_does_not(share: float) -> None:
    count = needed(share)
    assert most_bad(count) <= share * (1 + 1e-9)
    assert count == 1 or most_bad(count - 1) > share * (1 - 1e-9)


def test_the_rule_of_three_in_numbers() -> None:
    assert needed(0.001) == 2_995
    assert most_bad(2_995) < 0.001 < most_bad(2_994)
    assert most_bad(0) == 1.0
    assert [drawn(1_000, s) for s in (0, 0.0001, 0.01, 1)] == [0, 1, 10, 1_000]
    assert drawn(0, 1) == 0


@settings(max_examples=200, deadline=None)
@given(read=st.integers(1, 10**7))
def test_a_statement_never_claims_more_than_the_numbers(read: int) -> None:
    result = VerifyResult(
        level="L3",
        sample=0.5,
        seed=0,
        expected=read * 2,
        checked=read * 2,
        unchecked=0,
        faulty=0,
        reached={"L3": read * 2},
        objects=read * 2,
        read=read,
        clean=read,
    )
    said = result.statement
    claimed = float(said.partition("fewer than ")[2].partition(" %")[0])
    assert most_bad(read) <= claimed / 100 < most_bad(read) * 1.2 + 1e-6


@pytest.mark.parametrize(
    ("file", "held", "kind"),
    [
        ({}, Held("k", (Version(1, None, None),)), None),
        ({}, Held("k", ()), "missing"),
        ({}, Held("k", (Version(1, "e", "v"),), hidden=True), "hidden"),
        ({"etag": "e"}, Held("k", (Version(1, "f", "v"),)), "wrong-etag"),
        ({"etag": "e", "version_id": "v"}, Held("k", (Version(1, "e", "w"),)), None),
        ({"version_id": "v"}, Held("k", (Version(1, "e", "w"),)), "other-version"),
        ({"version_id": "v"}, Held("k", (Version(1, "e", None),)), None),  # versions not listed
        ({"version_id": "v", "pinned": True}, Held("k", (Version(1, "e", "w"),)), "version-gone"),
        (
            {"version_id": "v", "pinned": True},
            Held("k", (Version(9, "f", "w"), Version(1, "e", "v"))),
            None,
        ),
        (
            {"version_id": "v", "pinned": True},
            Held("k", (Version(1, "e", "v"),), hidden=True),
            None,
        ),
    ],
)
def test_what_a_listing_shows_of_one_file(file: Any, held: Held, kind: str | None) -> None:
    found = judge_held(Expected("k", "k", 1, **file), held)
    assert (found and found.kind) == kind
