"""Scenes: shaded coloured things on textured ground, drawn at any size, with their true boxes."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

COLOURS = {
    "red": (205, 35, 35),
    "green": (30, 150, 55),
    "blue": (40, 75, 215),
    "yellow": (240, 215, 35),
    "purple": (130, 45, 170),
    "orange": (240, 130, 25),
    "white": (240, 240, 240),
    "black": (25, 25, 25),
}
SHAPES = ("circle", "square", "triangle", "star", "ring", "cross")
GROUNDS = {  # two colours that the texture runs between, and its style
    "grass": ((70, 105, 50), (125, 150, 80), "blots"),
    "sand": ((180, 160, 120), (215, 200, 160), "grain"),
    "sky": ((120, 160, 200), (205, 222, 235), "gradient"),
    "wood": ((120, 88, 62), (165, 128, 95), "stripes"),
    "stone": ((105, 105, 108), (165, 163, 160), "blots"),
    "dusk": ((45, 42, 70), (150, 105, 110), "gradient"),
}

Pixels = NDArray[np.float32]


@dataclass(frozen=True)
class Thing:
    """One object. ``x``, ``y`` (centre) are shares of width and height; ``r`` of the short side."""

    shape: str
    colour: str
    x: float
    y: float
    r: float
    turn: float = 0.0  # radians

    @property
    def name(self) -> str:
        return f"{self.colour} {self.shape}"


@dataclass(frozen=True)
class Scene:
    """What is to be seen; ``things[0]`` is the one in front of the eye."""

    ground: str
    things: tuple[Thing, ...]
    sign: str | None = None
    seed: int = 0


@dataclass(frozen=True)
class Drawn:
    """A drawn scene; ``boxes`` are (x, y, width, height) in pixels, ``areas`` in pixels."""

    image: Image.Image
    boxes: tuple[tuple[int, int, int, int], ...]
    areas: tuple[int, ...]


def random_scene(
    rng: random.Random, *, main: tuple[str, str] | None = None, sign: str | None = None
) -> Scene:
    """A scene of one to three things that do not overlap much; ``main`` is (colour, shape)."""
    colour, shape = main or (rng.choice(list(COLOURS)), rng.choice(SHAPES))
    first = Thing(
        shape, colour, rng.uniform(0.4, 0.6), rng.uniform(0.42, 0.56), rng.uniform(0.27, 0.34),
        rng.uniform(-0.35, 0.35),
    )  # fmt: skip
    things = [first]
    for _ in range(rng.choice((0, 0, 1, 2))):
        small = Thing(
            rng.choice(SHAPES), rng.choice(list(COLOURS)), rng.choice((0.13, 0.87)),
            rng.uniform(0.2, 0.8), rng.uniform(0.07, 0.1), rng.uniform(-0.35, 0.35),
        )  # fmt: skip
        if all(abs(small.x - t.x) + abs(small.y - t.y) > 0.4 for t in things):
            things.append(small)
    return Scene(rng.choice(list(GROUNDS)), tuple(things), sign, rng.randrange(2**31))


def caption(scene: Scene, rng: random.Random) -> str:
    """One of several ways to say what the scene shows."""
    first, ground = scene.things[0].name, scene.ground
    rest = " and ".join(f"a small {t.name}" for t in scene.things[1:])
    said = rng.choice(
        (
            f"a {first}",
            f"a photo of a {first}",
            f"a {first} on {ground}",
            f"a large {first}, {ground} behind it",
            f"{first} and {ground}",
        )
    )
    return f"{said}, with {rest}" if rest and rng.random() < 0.6 else said


def draw_scene(scene: Scene, width: int, height: int) -> Drawn:
    """Draw the scene; the same scene and size give the same pixels."""
    noise = np.random.default_rng(scene.seed)
    canvas = _ground(scene.ground, width, height, noise)
    boxes, areas = [], []
    for thing in scene.things:
        mask = _mask(thing, width, height)
        _cast_shadow(canvas, mask)
        _paint(canvas, mask, thing, noise)
        box = mask.point(lambda v: 255 if v > 127 else 0).getbbox() or (0, 0, 1, 1)
        boxes.append((box[0], box[1], box[2] - box[0], box[3] - box[1]))
        areas.append(int((np.asarray(mask) > 127).sum()))
    canvas += noise.normal(0, 2.5, canvas.shape).astype(np.float32)  # the sensor's noise
    image = Image.fromarray(canvas.clip(0, 255).astype(np.uint8))
    if scene.sign:
        _put_sign(image, scene.sign)
    return Drawn(image, tuple(boxes), tuple(areas))


def _ground(name: str, width: int, height: int, noise: np.random.Generator) -> Pixels:
    low, high, style = GROUNDS[name]
    share: NDArray[Any]
    down = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    if style == "gradient":
        share = np.broadcast_to(1 - down, (height, width)) + _clouds(noise, width, height, 4) * 0.3
    elif style == "stripes":
        wave = np.sin(down * noise.uniform(25, 45) + _clouds(noise, width, height, 3) * 3)
        share = 0.5 + 0.35 * wave
    elif style == "grain":
        grain = noise.normal(0, 0.22, (height, width)).astype(np.float32)
        share = 0.5 + grain + _clouds(noise, width, height, 5) * 0.5
    else:
        coarse, fine = _clouds(noise, width, height, 6), _clouds(noise, width, height, 24)
        share = 0.5 + coarse * 0.5 + fine * 0.4
    light = np.float32(noise.uniform(0.85, 1.1))
    span = np.array(high, np.float32) - np.array(low, np.float32)
    colour = np.array(low, np.float32) + share.clip(0, 1)[..., None] * span
    return np.asarray(colour * light, dtype=np.float32)  # (height, width, 3)


def _clouds(noise: np.random.Generator, width: int, height: int, cells: int) -> Pixels:
    """Smooth noise in [-1, 1]: a coarse grid of random numbers, enlarged."""
    grid = noise.uniform(-1, 1, (cells, cells)).astype(np.float32)
    return np.asarray(Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC))


def _mask(thing: Thing, width: int, height: int) -> Image.Image:
    """The thing's coverage, 0 to 255, with smooth edges (drawn twice as large)."""
    mask = Image.new("L", (width * 2, height * 2))
    draw = ImageDraw.Draw(mask)
    r = thing.r * min(width, height) * 2
    x, y = thing.x * width * 2, thing.y * height * 2

    def around(count: int, radii: tuple[float, ...], start: float) -> list[tuple[float, float]]:
        step = 2 * math.pi / count
        angles = [start + thing.turn + i * step for i in range(count)]
        return [
            (
                x + radii[i % len(radii)] * r * math.cos(a),
                y + radii[i % len(radii)] * r * math.sin(a),
            )
            for i, a in enumerate(angles)
        ]

    if thing.shape in ("circle", "ring"):
        draw.ellipse([x - r, y - r, x + r, y + r], fill=255)
        if thing.shape == "ring":
            hole = r * 0.58
            draw.ellipse([x - hole, y - hole, x + hole, y + hole], fill=0)
    elif thing.shape == "square":
        draw.polygon(around(4, (1.25,), math.pi / 4), fill=255)
    elif thing.shape == "triangle":
        draw.polygon(around(3, (1.2,), -math.pi / 2), fill=255)
    elif thing.shape == "star":
        draw.polygon(around(10, (1.2, 0.5), -math.pi / 2), fill=255)
    else:
        for start in (0.0, math.pi / 2):
            half = 0.33
            reach = math.atan2(half, 1.1)
            far = math.hypot(half, 1.1)
            arm = [
                (x + far * r * math.cos(a), y + far * r * math.sin(a))
                for a in (
                    start + thing.turn + reach,
                    start + thing.turn - reach,
                    start + thing.turn + math.pi + reach,
                    start + thing.turn + math.pi - reach,
                )
            ]
            draw.polygon(arm, fill=255)
    return mask.resize((width, height), Image.Resampling.BOX)


def _cast_shadow(canvas: Pixels, mask: Image.Image) -> None:
    short = min(mask.size)
    soft = mask.filter(ImageFilter.BoxBlur(max(1, short // 40)))
    dark = np.roll(np.asarray(soft, np.float32), (short // 30 + 1, short // 30 + 1), (0, 1))
    canvas *= (1 - 0.45 * dark / 255)[..., None]


def _paint(canvas: Pixels, mask: Image.Image, thing: Thing, noise: np.random.Generator) -> None:
    """Lay the thing's colour on, lighter towards the upper left."""
    height, width = canvas.shape[:2]
    r = thing.r * min(width, height)
    x = (np.arange(width, dtype=np.float32) - thing.x * width) / r
    y = (np.arange(height, dtype=np.float32) - thing.y * height) / r
    light = (1.0 - 0.2 * (x[None, :] + y[:, None])).clip(0.65, 1.3)
    texture = 1 + 0.06 * _clouds(noise, width, height, 9)
    colour = np.array(COLOURS[thing.colour], np.float32) * (light * texture)[..., None]
    cover = (np.asarray(mask, np.float32) / 255)[..., None]
    canvas += cover * (colour - canvas)


def _put_sign(image: Image.Image, text: str) -> None:
    """A board with black letters along the lower edge."""
    width, height = image.size
    font = ImageFont.load_default(size=max(14, height // 11))
    draw = ImageDraw.Draw(image)
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
    pad = height // 40
    x0 = (width - (right - left)) // 2 - pad
    y0 = height - (bottom - top) - 4 * pad
    box = (x0, y0, x0 + (right - left) + 2 * pad, y0 + (bottom - top) + 2 * pad)
    draw.rectangle(box, fill=(245, 244, 238), outline=(60, 60, 60), width=max(1, height // 200))
    draw.text((x0 + pad - left, y0 + pad - top), text, font=font, fill=(20, 20, 20))
