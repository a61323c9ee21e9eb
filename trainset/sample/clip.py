"""Training the tiny OpenCLIP that lets the demo search by meaning without downloading weights.

It is made by this project from scenes that it draws, and knows coloured shapes and nothing else.
It is written as an ordinary OpenCLIP folder and loaded by the ordinary operator.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from trainset.errors import MissingExtra
from trainset.sample.scenes import COLOURS, SHAPES, caption, draw_scene, random_scene

STEPS = 280  # about 40 CPU seconds; see tests/sample for how well it finds things
SCENES = 3000
BATCH = 64
EDGE = 64  # pixels of the model's input
DONE = "SHA256SUMS"  # written last inside the folder; names the checkpoint's hash
CHECKPOINT, CONFIG = "open_clip_model.safetensors", "open_clip_config.json"
MEAN, STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)

MODEL = {
    "embed_dim": 64,
    "vision_cfg": {
        "image_size": EDGE,
        "timm_model_name": "test_resnet",
        "timm_pool": "avg",
        "timm_proj": "linear",
    },
    "text_cfg": {"context_length": 24, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
}

README = """# shapes-clip

A tiny OpenCLIP, trained by trainset on {scenes} scenes that trainset draws itself ({steps} steps).
It knows eight colours and six shapes (circle, square, triangle, star, ring, cross), and nothing
else of the world: use it to see how search by text works, never for real pictures.
For those name a real model in the spec: `op: open_clip, model: ViT-B-32, weights:
laion2b_s34b_b79k`.
"""


def train_tiny_clip(
    folder: Path,
    *,
    steps: int = STEPS,
    scenes: int = SCENES,
    seed: int = 7,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Train the model and write it to ``folder``; a finished folder is taken as it is.

    The same machine, library versions and arguments give the same weights; other processors may
    give others, which is why the weights' sha256 is part of what a column records.

    Args:
        folder: becomes an OpenCLIP ``local-dir``, whole or not at all.
        progress: called with (steps done, steps).
    Returns:
        ``folder``.
    Raises:
        MissingExtra: torch or open_clip are not installed.
    """
    if is_trained(folder):
        return folder
    try:
        import open_clip
        import torch
    except ImportError as err:
        raise MissingExtra("training the sample's model", "clip") from err

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the steps are tiny: more threads mostly wait for each other
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            state = _train(torch, open_clip, steps, scenes, seed, progress)
    finally:
        torch.set_num_threads(threads)
    _write(folder, state, README.format(scenes=scenes, steps=steps))
    return folder


def is_trained(folder: Path) -> bool:
    """Whether ``folder`` holds a finished model whose checkpoint is as it was written."""
    try:
        said = (folder / DONE).read_text(encoding="ascii").split()
        data = (folder / CHECKPOINT).read_bytes()
    except OSError:
        return False
    return said[:1] == [hashlib.sha256(data).hexdigest()] and (folder / CONFIG).is_file()


def _train(
    torch: Any,
    open_clip: Any,
    steps: int,
    scenes: int,
    seed: int,
    progress: Callable[[int, int], None] | None,
) -> dict[str, Any]:
    """The trained weights as float16 tensors."""
    pixels, texts, kinds = _examples(scenes, seed)
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2)
    tokenizer = open_clip.SimpleTokenizer(context_length=24)
    tokens = torch.stack([tokenizer([pair[i] for pair in texts]) for i in (0, 1)], dim=1)
    kind = torch.tensor(kinds)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) * 255 for v in (MEAN, STD))
    model = open_clip.CLIP(**MODEL).to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 3e-3, total_steps=steps, pct_start=0.1
    )
    for step in range(steps):
        pick = torch.randint(0, len(kind), (BATCH,))
        x = images[pick]
        if torch.rand(()) < 0.5:
            x = x.flip(3)
        down, right = torch.randint(-4, 5, (2,)).tolist()
        x = (x.roll((down, right), (2, 3)).float() - mean) / std
        image, text, scale = model(x, tokens[pick, torch.randint(0, 2, (BATCH,))])[:3]
        loss = _loss(scale * image @ text.T, kind[pick])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            model.logit_scale.clamp_(max=4.6)
        if progress is not None:
            progress(step + 1, steps)
    state = model.state_dict()
    return {k: (v.half() if v.is_floating_point() else v).contiguous() for k, v in state.items()}


def _loss(logits: Any, kind: Any) -> Any:
    """Contrastive loss in which every pair of the same kind counts as right, not one alone."""
    same = (kind[:, None] == kind[None, :]).float()
    target = same / same.sum(1, keepdim=True)
    there = -(target * logits.log_softmax(1)).sum(1).mean()
    back = -(target * logits.T.log_softmax(1)).sum(1).mean()
    return there + back


def _examples(count: int, seed: int) -> tuple[Any, list[tuple[str, str]], list[int]]:
    """(N, EDGE, EDGE, 3) uint8, two captions each, and the kind of the thing in front."""
    rng = random.Random(seed * 7919 + 1)  # never the scenes of the sample itself
    pixels, texts, kinds = [], [], []
    for _ in range(count):
        scene = random_scene(rng, sign="STOP HERE" if rng.random() < 0.12 else None)
        width, height = rng.choice(((88, 66), (88, 58), (66, 88)))
        picture = draw_scene(scene, width, height).image
        pixels.append(np.asarray(picture.resize((EDGE, EDGE), Image.Resampling.BICUBIC)))
        texts.append((caption(scene, rng), caption(scene, rng)))
        first = scene.things[0]
        kinds.append(list(COLOURS).index(first.colour) * len(SHAPES) + SHAPES.index(first.shape))
    return np.stack(pixels), texts, kinds


def _write(folder: Path, state: dict[str, Any], readme: str) -> None:
    from safetensors.torch import save

    preprocess = {
        "size": [EDGE, EDGE],
        "mode": "RGB",
        "mean": MEAN,
        "std": STD,
        "interpolation": "bicubic",
        "resize_mode": "squash",
        "fill_color": 0,
    }
    data = save(state)
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        config = {"model_cfg": MODEL, "preprocess_cfg": preprocess}
        (scratch / CONFIG).write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
        (scratch / CHECKPOINT).write_bytes(data)
        (scratch / "README.md").write_text(readme, encoding="utf-8")
        line = f"{hashlib.sha256(data).hexdigest()}  {CHECKPOINT}\n"
        (scratch / DONE).write_text(line, encoding="ascii")
        os.chmod(scratch, 0o755)
        if folder.exists() and not is_trained(folder):
            shutil.rmtree(folder)  # half of a copy, or damaged
        try:
            scratch.rename(folder)
        except OSError:
            if not is_trained(folder):  # else: someone else was first, with the same model
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
