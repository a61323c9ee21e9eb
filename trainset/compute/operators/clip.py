"""``open_clip``: image embeddings that pictures and texts can be searched by."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import Field

from trainset.compute.base import Function, ItemError
from trainset.compute.context import BuildContext, Params
from trainset.compute.operators.clip_model import ClipModel, load_model
from trainset.compute.operators.clip_weights import Weights, WeightsMissing, find_weights
from trainset.errors import SpecError
from trainset.media.asset import Asset
from trainset.model import Modality

BATCH = 32
LIBRARIES = ("open-clip-torch", "torch", "torchvision")


class OpenClipParams(Params):
    model: str = Field(default="ViT-B-32", min_length=1)
    weights: str | None = Field(default=None, description="a tag, or the path of a checkpoint")
    batch_size: int = Field(default=BATCH, ge=1, le=4096, description="pictures per model call")


class OpenClip:
    """L2-normalised float16 vectors of an image, or of a video's first frame.

    Pictures are resized as uint8 by torchvision and normalised on the device (pixels within 2 of
    open_clip's own Pillow transform, at a third to half of its cost), upright, unlike open_clip's.
    ``batch_size`` changes no value beyond float rounding and is no part of the function.
    """

    Params = OpenClipParams

    modalities: frozenset[Modality] = frozenset({"image", "video"})
    seconds_per_item = 0.05

    def __init__(self, params: OpenClipParams, context: BuildContext) -> None:
        tag = params.weights
        if tag is None and params.model == "ViT-B-32":
            tag = "laion2b_s34b_b79k"
        found = find_weights(params.model, tag, models=context.models, download=context.download)
        self._take(found, params.batch_size)

    def _take(self, weights: Weights, batch_size: int) -> None:
        self.weights = weights
        self.batch_size = batch_size
        self.output = pa.list_(pa.float16(), weights.dim)
        self._model: ClipModel | None = None
        self.function = Function(
            operator="open_clip",
            version="1",
            params={"model": weights.model, "weights": weights.tag},
            weights_sha256=weights.sha256,
            preprocess=weights.preprocess,
            output=str(self.output),
            deterministic=False,
            notes={"place": weights.arch, "file": str(weights.file), **_versions()},
        )

    @classmethod
    def from_function(cls, function: Function, models: Path | None) -> OpenClip:
        """The operator with the very weights of a stored function, set up; kept in memory."""
        return _encoder(
            str(function.params["model"]),
            function.params.get("weights"),
            str(function.weights_sha256),
            function.notes.get("place"),
            function.notes.get("file"),
            models,
        )

    def setup(self) -> None:
        if self._model is None:
            self._model = load_model(self.weights)

    def prepare(self, asset: Asset) -> Any:
        return self._loaded().shape(asset.pixels())

    def compute(self, batch: Sequence[Any]) -> Sequence[Any]:
        vectors = self._loaded().encode_images(batch)
        broken = ItemError(kind="model", message="the model gave a vector that is not finite")
        return [v.astype(np.float16) if np.isfinite(v).all() else broken for v in vectors]

    def encode_text(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """(N, D) rows of L2 norm 1, float32."""
        rows: Sequence[Sequence[float]] = self._loaded().encode_texts(texts)
        return rows

    def _loaded(self) -> ClipModel:
        self.setup()
        assert self._model is not None
        return self._model


@lru_cache(maxsize=2)
def _encoder(
    model: str,
    tag: str | None,
    sha256: str,
    place: str | None,
    file: str | None,
    models: Path | None,
) -> OpenClip:
    """Look where the weights were, then where they may be now; take only the very same ones.

    ``place`` and ``file`` are notes of the machine that computed, no part of the identity.
    """
    why = "none with this sha256 was found"
    for name, checkpoint in ((place, file), (model, tag)):
        if name is None:
            continue
        try:
            found = find_weights(name, checkpoint, models=models, download=False)
        except (WeightsMissing, SpecError):  # not here: look in the next place
            continue
        if found.sha256 != sha256:
            why = f"{found.file} has sha256 {found.sha256[:12]}…, the column's has {sha256[:12]}…"
            continue
        operator = OpenClip.__new__(OpenClip)
        operator._take(found, BATCH)
        operator.setup()
        return operator
    raise WeightsMissing(f"{model}/{tag}" if tag else model, None, why)


def _versions() -> dict[str, str]:
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
