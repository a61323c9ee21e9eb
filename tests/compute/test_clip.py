"""OpenCLIP through the production path, with a model that this project trained itself."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("open_clip", reason="the extra [clip] is not installed")

from PIL import Image

from trainset.compute.base import ItemError
from trainset.compute.items import compute_batch
from trainset.compute.operators.clip import OpenClip
from trainset.compute.operators.clip_weights import WeightsMissing
from trainset.compute.registry import build, encoder_for
from trainset.errors import SpecError
from trainset.media.asset import Asset
from trainset.run.examples import TINY
from trainset.sample import sample_scenes, write_sample
from trainset.sample.clip import CONFIG, is_trained, train_tiny_clip
from trainset.sample.scenes import draw_scene
from trainset.sample.write import KINDS
from trainset.spec import ColumnSpec

CACHE = Path(__file__).parents[2] / ".cache"


@pytest.fixture(scope="session")
def shapes_clip() -> Path:
    """The demo's model where it is there; else one that is trained for less long, once."""
    if is_trained(CACHE / TINY):
        return CACHE / TINY
    return train_tiny_clip(CACHE / f"{TINY}-test", steps=150, scenes=1500)


@pytest.fixture(scope="session")
def unlearned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same architecture after one step: good enough for everything but meaning."""
    return train_tiny_clip(tmp_path_factory.mktemp("models") / "unlearned", steps=1, scenes=64)


def operator(folder: Path, **params: object) -> OpenClip:
    built = build("clip", ColumnSpec(op="open_clip", model=f"local-dir:{folder}", **params))
    assert isinstance(built, OpenClip)
    built.setup()
    return built


def pictures(count: int, size: tuple[int, int] = (160, 120)) -> list[bytes]:
    found = []
    for _, scene in sample_scenes()[:count]:
        out = io.BytesIO()
        draw_scene(scene, *size).image.save(out, "JPEG", quality=92)
        found.append(out.getvalue())
    return found


def vectors(clip: OpenClip, images: list[bytes]) -> np.ndarray:
    assets = [Asset(str(i), data, "image/jpeg", "image") for i, data in enumerate(images)]
    values = clip.compute([clip.prepare(asset) for asset in assets])
    return np.stack([np.asarray(value, np.float32) for value in values])


def test_text_finds_the_right_pictures_of_the_sample(shapes_clip: Path, tmp_path: Path) -> None:
    write_sample(tmp_path)
    clip = operator(shapes_clip)
    kinds, images = [], []
    for i, (key, _) in enumerate(sample_scenes()):
        if i != 35:  # is cut off
            kinds.append(KINDS[i % len(KINDS)])
            asset = Asset(key, (tmp_path / key).read_bytes(), "image/*", "image")
            images.append(clip.compute([clip.prepare(asset)])[0])
    found = np.stack(images).astype(np.float32)
    texts = np.asarray(clip.encode_text([f"a {colour} {shape}" for colour, shape in KINDS]))
    right = [
        kinds[at] == kind
        for kind, scores in zip(KINDS, texts @ found.T, strict=True)
        for at in np.argsort(-scores)[:4]
    ]
    assert np.mean(right) >= 0.9  # by chance 0.125


def test_vectors_are_half_floats_of_length_one_whatever_the_batch(unlearned: Path) -> None:
    clip = operator(unlearned)
    images = pictures(5)
    together = vectors(clip, images)
    alone = np.concatenate([vectors(clip, [image]) for image in images])
    assert np.linalg.norm(together, axis=1) == pytest.approx(1, abs=2e-3)
    assert (together * alone).sum(1).min() >= 0.999
    assert str(clip.output) == "fixed_size_list<item: halffloat>[64]"
    assert np.linalg.norm(clip.encode_text(["a", "b"]), axis=1) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("mode", ["squash", "shortest", "longest"])
@pytest.mark.parametrize("size", [(161, 120), (90, 203), (40, 30)])
def test_our_preprocessing_is_the_models_own(
    unlearned: Path, tmp_path: Path, mode: str, size: tuple[int, int]
) -> None:
    import open_clip
    import torch

    folder = tmp_path / mode
    shutil.copytree(unlearned, folder)
    config = json.loads((folder / CONFIG).read_text())
    config["preprocess_cfg"]["resize_mode"] = mode
    (folder / CONFIG).write_text(json.dumps(config))
    clip = operator(folder)
    model, theirs = open_clip.create_model_from_pretrained(f"local-dir:{folder}")
    images = pictures(3, size)
    with torch.inference_mode():
        batch = torch.stack([theirs(Image.open(io.BytesIO(data))) for data in images])
        expected = model.eval().encode_image(batch, normalize=True).numpy()
    assert (vectors(clip, images) * expected).sum(1).min() >= 0.9995  # halves and 8-bit resizing


def test_the_function_is_the_weights_and_not_their_place(unlearned: Path, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere" / unlearned.name
    shutil.copytree(unlearned, moved)
    other = train_tiny_clip(tmp_path / unlearned.name, steps=2, scenes=64)
    first, second, third = (operator(f).function for f in (unlearned, moved, other))
    assert first.fn_id == second.fn_id != third.fn_id
    assert str(tmp_path) not in json.dumps(second.params)


def test_a_query_is_encoded_by_the_very_weights(unlearned: Path, tmp_path: Path) -> None:
    place = tmp_path / "a" / "model"
    shutil.copytree(unlearned, place)
    clip = operator(place)
    encoder = encoder_for(clip.function)
    assert encoder is not None
    assert np.allclose(encoder.encode_text(["x"]), clip.encode_text(["x"]))
    place.rename(tmp_path / "model")
    function = clip.function.model_copy(update={"version": "1"})
    moved = encoder_for(function, models=tmp_path)  # the folder's name is in the function
    assert moved is not None
    shutil.rmtree(tmp_path / "model")
    train_tiny_clip(tmp_path / "model", steps=3, scenes=64)
    changed = function.model_copy(update={"weights_sha256": "0" * 64})
    with pytest.raises(WeightsMissing, match="the column's has 000000000000"):
        encoder_for(changed, models=tmp_path)


def test_weights_that_cannot_be_fetched_are_named_with_the_way_to_place_them() -> None:
    with pytest.raises(WeightsMissing, match=r"ViT-B-32/laion2b_s34b_b79k.*laion/CLIP-ViT-B-32"):
        build("c", ColumnSpec(op="open_clip", model="ViT-B-32", weights="laion2b_s34b_b79k"))
    with pytest.raises(WeightsMissing, match="downloads are off"):
        build("c", ColumnSpec(op="open_clip"), download=False)
    with pytest.raises(WeightsMissing, match=r"holds no open_clip_config\.json"):
        build("c", ColumnSpec(op="open_clip", model="local-dir:/no/such/folder"))
    with pytest.raises(SpecError, match="laion2b_s34b_b79k"):
        build("c", ColumnSpec(op="open_clip", model="ViT-B-32", weights="laoin2b"))
    with pytest.raises(SpecError, match="architectures"):
        build("c", ColumnSpec(op="open_clip", model="ViT-B-33", weights="x"))


def test_a_checkpoint_is_taken_by_its_path(unlearned: Path, tmp_path: Path) -> None:
    import open_clip

    config = json.loads((unlearned / CONFIG).read_text())
    (tmp_path / "shapes-by-path.json").write_text(json.dumps(config["model_cfg"]))
    open_clip.add_model_config(tmp_path / "shapes-by-path.json")
    file = tmp_path / "w.safetensors"
    shutil.copy(unlearned / "open_clip_model.safetensors", file)
    spec = ColumnSpec(op="open_clip", model="shapes-by-path", weights=str(file))
    clip = build("c", spec)
    clip.setup()
    assert clip.function.params == {"model": "shapes-by-path", "weights": "w.safetensors"}
    found = encoder_for(clip.function)
    assert found is not None
    by_name = build(
        "c", ColumnSpec(op="open_clip", model="shapes-by-path", weights="w"), models=tmp_path
    )
    assert by_name.function.weights_sha256 == clip.function.weights_sha256


def test_a_vector_that_is_not_finite_is_an_error_and_no_value(unlearned: Path) -> None:
    clip = operator(unlearned)
    asset = Asset("a", pictures(1)[0], "image/jpeg", "image")
    good = clip.prepare(asset)
    values = compute_batch(clip, [good, good.float() * float("nan")])
    assert not isinstance(values[0], ItemError)
    assert isinstance(values[1], ItemError)
