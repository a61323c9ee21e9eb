"""``ocr``: the text in a picture or a document, as one string in reading order."""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import threading
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image
from pydantic import Field

from trainset.compute.base import Function
from trainset.compute.context import BuildContext, Params
from trainset.compute.operators.reading import Box, reading_order
from trainset.errors import MissingExtra
from trainset.media.asset import Asset
from trainset.model import Modality


class OcrParams(Params):
    max_pages: int = Field(default=50, ge=1, description="pages read of one document")
    dpi: int = Field(default=150, ge=72, le=600, description="of pages without a text layer")
    min_confidence: float = Field(default=0.5, ge=0, le=1)


class Ocr:
    """RapidOCR (PP-OCR models that its wheel ships; no network), one thread an engine.

    Of a document the text layer is taken; only pages without one are rendered and read. Pages are
    divided by a form feed. Where ``max_pages`` cut a document, the last line says so. A picture
    without text gives the empty string. Boxes and confidences are not kept in this version.
    """

    Params = OcrParams

    modalities: frozenset[Modality] = frozenset({"image", "document"})
    output = pa.string()
    batch_size = 8  # costly items: little is lost when a run is killed
    seconds_per_item = 1.5

    def __init__(self, params: OcrParams, context: BuildContext) -> None:
        self.params = params
        self._engines = threading.local()
        self.function = Function(
            operator="ocr",
            version="1",
            params=params.model_dump(),
            weights_sha256=_models_sha256(),
            output=str(self.output),
            deterministic=False,
        )

    def setup(self) -> None:
        self._engine()

    def prepare(self, asset: Asset) -> str:
        if asset.modality == "image" and asset.mime != "image/tiff":
            return self._read(asset.pil())
        pages = asset.pages(self.params.max_pages)
        texts = [page.text or self._read(page.render(self.params.dpi)) for page in pages]
        count = asset.page_count
        if count > len(pages):
            texts.append(f"[pages {len(pages) + 1} to {count} were not read: max_pages]")
        return "\f".join(texts)

    def compute(self, batch: Sequence[Any]) -> Sequence[Any]:
        return batch

    def _read(self, picture: Image.Image) -> str:
        found = self._engine()(np.asarray(picture)[:, :, ::-1])  # RapidOCR takes BGR, as OpenCV
        if found.txts is None:
            return ""
        boxes = [
            Box(text, [[float(x), float(y)] for x, y in quad])
            for text, quad in zip(found.txts, found.boxes, strict=True)
            if text.strip()
        ]
        return "\n".join(" ".join(box.text for box in line) for line in reading_order(boxes))

    def _engine(self) -> Any:
        """One engine a thread: RapidOCR keeps settings of the call on the object."""
        engine = getattr(self._engines, "engine", None)
        if engine is None:
            try:
                from rapidocr import RapidOCR
            except ImportError as err:
                raise MissingExtra("the operator ocr", "ocr") from err

            engine = self._engines.engine = RapidOCR(
                params={
                    "Global.log_level": "critical",
                    "Global.text_score": self.params.min_confidence,
                    "EngineConfig.onnxruntime.intra_op_num_threads": 1,
                    "EngineConfig.onnxruntime.inter_op_num_threads": 1,
                }
            )
            logging.getLogger("RapidOCR").setLevel(logging.CRITICAL)
        return engine


@lru_cache(maxsize=1)
def _models_sha256() -> str:
    """One hash over the model files of the wheel: they are what reads the text."""
    spec = importlib.util.find_spec("rapidocr")
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtra("the operator ocr", "ocr")
    folder = Path(next(iter(spec.submodule_search_locations))) / "models"
    whole = hashlib.sha256()
    for path in sorted(folder.glob("*.onnx")):
        whole.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()
