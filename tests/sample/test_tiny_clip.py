"""Training the tiny model: the same weights again, whole or not at all, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("open_clip", reason="the extra [clip] is not installed")

from trainset.sample.clip import CHECKPOINT, is_trained, train_tiny_clip


def train(folder: Path, seen: list[tuple[int, int]] | None = None) -> bytes:
    train_tiny_clip(
        folder,
        steps=2,
        scenes=64,
        progress=lambda *at: seen.append(at) if seen is not None else None,
    )
    return (folder / CHECKPOINT).read_bytes()


def test_the_same_seed_gives_the_same_weights_and_disturbs_nobody_elses(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    import torch

    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    threads = torch.get_num_threads()
    assert train(tmp_path / "a") == train(tmp_path / "b")
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == threads
    assert capfd.readouterr() == ("", "")


def test_a_finished_model_is_taken_and_a_damaged_one_made_again(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "model"
    seen: list[tuple[int, int]] = []
    data = train(folder, seen)
    assert seen == [(1, 2), (2, 2)]
    assert train(folder, seen) == data
    assert len(seen) == 2
    (folder / CHECKPOINT).write_bytes(data[:1000])
    assert not is_trained(folder)
    assert train(folder, seen) == data
    assert len(seen) == 4
    assert [path.name for path in folder.parent.iterdir()] == ["model"]
    assert len(data) < 5e6
