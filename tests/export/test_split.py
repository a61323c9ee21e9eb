"""Splits: stable, free of leaks, and close to their shares."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainset.export.split import assign_splits, order_of, split_of
from trainset.spec import SplitSpec

SPEC = SplitSpec(train=0.8, val=0.1, test=0.1, seed=7)
KEYS = [f"cameras/{i:05d}.jpg" for i in range(5000)]


def splits_of(keys: list[str], spec: SplitSpec = SPEC) -> dict[str, str | None]:
    splits, _ = assign_splits(keys, keys, keys, spec)
    return dict(zip(keys, splits, strict=True))


def test_shares_are_met_within_sampling_error() -> None:
    found = list(splits_of(KEYS).values())
    assert abs(found.count("test") / 5000 - 0.1) < 0.02
    assert abs(found.count("val") / 5000 - 0.1) < 0.02


def test_a_known_group_keeps_its_split_for_ever() -> None:
    # Stored on purpose: another hash would move every sample of every published dataset.
    spec = SplitSpec(train=0.5, val=0.25, test=0.25, seed=7)
    found = [split_of(group, spec) for group in "abcdefgh"]
    assert found == ["train", "val", "val", "train", "train", "train", "test", "test"]


def test_new_samples_and_another_order_move_nothing() -> None:
    before = splits_of(KEYS[:1000])
    after = splits_of(KEYS[::-1])
    assert all(after[key] == split for key, split in before.items())


def test_a_larger_val_takes_from_train_only() -> None:
    before = splits_of(KEYS)
    after = splits_of(KEYS, SplitSpec(train=0.7, val=0.2, test=0.1, seed=7))
    moves = {(before[k], after[k]) for k in KEYS if before[k] != after[k]}
    assert moves == {("train", "val")}


def test_another_seed_gives_another_split() -> None:
    assert splits_of(KEYS) != splits_of(KEYS, SPEC.model_copy(update={"seed": 8}))


def test_a_share_of_zero_takes_nothing() -> None:
    assert set(splits_of(KEYS, SplitSpec(train=0.0, val=0.5, test=0.5)).values()) == {"val", "test"}
    assert set(splits_of(KEYS, SplitSpec()).values()) == {"train"}


def test_the_order_inside_a_split_is_shuffled_and_the_same_every_time() -> None:
    order = sorted(KEYS, key=lambda k: order_of(k, SPEC))
    assert order != KEYS
    reversed_keys = KEYS[::-1]
    assert order == sorted(reversed_keys, key=lambda k: order_of(k, SPEC))


@given(
    st.lists(st.tuples(st.integers(0, 5), st.sampled_from("abcde")), min_size=1, max_size=30),
    st.integers(0, 50),
)
def test_copies_never_stand_in_two_splits(rows: list[tuple[int, str]], seed: int) -> None:
    keys = [f"s/{i}" for i in range(len(rows))]
    contents, groups = [str(c) for c, _ in rows], [g for _, g in rows]
    spec = SplitSpec(train=0.4, val=0.3, test=0.3, by="source", seed=seed)
    splits, left_out = assign_splits(keys, contents, groups, spec)
    seen: dict[str, set[str]] = {}
    for content, split in zip(contents, splits, strict=True):
        if split is not None:
            seen.setdefault(content, set()).add(split)
    assert all(len(found) == 1 for found in seen.values())
    assert set(seen) == set(contents), "every content is still exported"
    assert [item.key for item in left_out] == [
        k for k, s in zip(keys, splits, strict=True) if s is None
    ], "what has no split is reported"
    for group, split in zip(groups, splits, strict=True):
        assert split in (None, split_of(group, spec)), "no group is divided or moved"


@pytest.mark.parametrize("value", ["cam-1", 7, 2.5, None])
def test_rows_without_a_group_value_are_grouped_by_content(value: object) -> None:
    splits, left_out = assign_splits(["a", "b"], ["same", "same"], [value, value], SPEC)
    assert splits[0] == splits[1] == split_of("same" if value is None else value, SPEC)
    assert not left_out
