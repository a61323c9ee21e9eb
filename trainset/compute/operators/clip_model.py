"""open_clip's and torch's seam: a loaded model that encodes uint8 pictures and texts."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from trainset.compute.operators.clip_weights import Weights
from trainset.errors import InputError, MissingExtra

BIG = 20_000_000  # parameters from which bfloat16 pays on a CPU


def load_open_clip() -> Any:
    """The package, or MissingExtra."""
    try:
        import open_clip
    except ImportError as err:
        raise MissingExtra("the operator open_clip", "clip") from err
    return open_clip


class ClipModel:
    """A model in evaluation mode on the best device that is there.

    On a GPU float16; on a CPU bfloat16 weights where the processor multiplies them natively and
    the model is large (3.6 times faster, cosine ≥ 0.9999), else float32.
    """

    def __init__(self, weights: Weights) -> None:
        open_clip = load_open_clip()
        import torch

        self.torch = torch
        local = weights.arch.startswith("local-dir:")
        declared = weights.preprocess
        try:
            self.model = open_clip.create_model_from_pretrained(
                weights.arch,
                pretrained=None if local else str(weights.file),
                return_transform=False,
                force_quick_gelu=weights.quick_gelu,
                image_mean=None if local else declared.get("mean"),
                image_std=None if local else declared.get("std"),
                image_interpolation=None if local else declared.get("interpolation"),
                image_resize_mode=None if local else declared.get("resize_mode"),
            )
        except (RuntimeError, OSError, KeyError, ValueError) as err:
            raise InputError(
                f"{weights.file} cannot be loaded as {weights.model} ({str(err)[:200]}); name the "
                "checkpoint's own architecture as 'model:', or fetch the file again"
            ) from err
        self.model.eval().requires_grad_(False)
        size = sum(p.numel() for p in self.model.parameters())
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.dtype = torch.float32
        if self.device.type == "cuda":
            self.dtype = torch.float16
        elif size > BIG and _native_bfloat16(torch):
            self.dtype = torch.bfloat16
        self.model.to(self.device, self.dtype)
        self.preprocess: dict[str, Any] = dict(self.model.visual.preprocess_cfg)
        self.dim = weights.dim
        self._arch = weights.arch
        self._tokenizer: Any = None
        self._lock = threading.Lock()
        self._mean = self._per_channel(self.preprocess["mean"])
        self._std = self._per_channel(self.preprocess["std"])

    def shape(self, pixels: Any) -> Any:
        """(3, H, W) uint8 of any size to the model's input size, as its preprocessing says."""
        from torchvision.transforms import InterpolationMode
        from torchvision.transforms.v2 import functional

        size = self.preprocess["size"]
        height, width = (size, size) if isinstance(size, int) else size
        mode = InterpolationMode(self.preprocess["interpolation"])
        old_height, old_width = pixels.shape[-2:]
        if self.preprocess["resize_mode"] == "squash":
            new = [height, width]
        else:
            pick = max if self.preprocess["resize_mode"] == "longest" else min
            ratio = pick(old_height / height, old_width / width)
            new = [max(1, round(old_height / ratio)), max(1, round(old_width / ratio))]
            if height == width and pick is min:  # torchvision rounds the long side in its own way
                new = [height]
        resized = functional.resize(pixels, new, interpolation=mode, antialias=True)
        if list(resized.shape[-2:]) == [height, width]:
            return resized
        return self._crop_or_pad(resized, height, width)

    def encode_images(self, shaped: Sequence[Any]) -> Any:
        """(N, D) float32 numpy, rows of L2 norm 1, of N tensors that ``shape`` gave."""
        torch = self.torch
        with torch.inference_mode():
            batch = torch.stack(list(shaped)).to(self.device, torch.float32)
            batch = ((batch - self._mean) / self._std).to(self.dtype)
            return self.model.encode_image(batch, normalize=True).float().cpu().numpy()

    def encode_texts(self, texts: Sequence[str]) -> Any:
        """(N, D) float32 numpy, rows of L2 norm 1."""
        torch = self.torch
        with self._lock:
            if self._tokenizer is None:
                self._tokenizer = self._load_tokenizer()
        with torch.inference_mode():
            tokens = self._tokenizer(list(texts)).to(self.device)
            return self.model.encode_text(tokens, normalize=True).float().cpu().numpy()

    def _load_tokenizer(self) -> Any:
        try:
            return load_open_clip().get_tokenizer(self._arch)
        except Exception as err:  # transformers and the hub raise types of their own
            raise InputError(
                f"the tokenizer of {self._arch} cannot be loaded ({str(err)[:200]}); search by "
                "image, or bring its tokenizer files into the Hugging Face cache"
            ) from err

    def _crop_or_pad(self, pixels: Any, height: int, width: int) -> Any:
        from torchvision.transforms.v2 import functional

        down, right = height - pixels.shape[-2], width - pixels.shape[-1]
        if down > 0 or right > 0:
            top, left = max(0, down) // 2, max(0, right) // 2
            pad = [left, top, max(0, right) - left, max(0, down) - top]
            pixels = functional.pad(pixels, pad, fill=int(self.preprocess.get("fill_color", 0)))
        return functional.center_crop(pixels, [height, width])

    def _per_channel(self, values: Sequence[float]) -> Any:
        tensor = self.torch.tensor(list(values), dtype=self.torch.float32) * 255
        return tensor.view(1, 3, 1, 1).to(self.device)


@lru_cache(maxsize=2)
def load_model(weights: Weights) -> ClipModel:
    """The model of these weights, loaded once a process."""
    return ClipModel(weights)


def _native_bfloat16(torch: Any) -> bool:
    check = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return bool(check and check())
