"""What the annotations of a COCO file point at: its images and categories, by id."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from trainset.errors import InputError
from trainset.metadata.base import Rejected
from trainset.metadata.labels.json_lists import JsonList
from trainset.metadata.records import BadRecord, rejected


@dataclass(frozen=True, slots=True)
class Image:
    """What records say of their image: how it is named, and facts for ``attributes``."""

    reference: str
    facts: dict[str, Any]


@dataclass(frozen=True)
class Index:
    """Images (None where one id names two files) and names of categories, by ``hashable`` id."""

    images: dict[Any, Image | None]
    categories: dict[Any, str]

    def image(self, image_id: Any) -> Image:
        """Raises BadRecord where there is none, or more than one."""
        key = hashable(image_id)
        if key not in self.images:
            raise BadRecord("unknown-image", f"image_id {key!r} is not in 'images'")
        if (image := self.images[key]) is None:
            raise BadRecord("duplicate-id", f"image_id {key!r} names more than one file")
        return image

    def category(self, category_id: Any) -> str:
        """Raises BadRecord."""
        if (name := self.categories.get(hashable(category_id))) is None:
            raise BadRecord(
                "unknown-category", f"category_id {category_id!r} is not in 'categories'"
            )
        return name


def index_of(top: Any, *, stream: str, place: str) -> tuple[Index, list[Rejected]]:
    """The index of a parsed file, and the entries that cannot be used.

    Raises:
        InputError: the file is not COCO at all.
    """
    if not isinstance(top, dict) or not isinstance(top.get("images"), (list, JsonList)):
        raise InputError(f"{place}: not COCO, for it has no list 'images'; say its format")
    if not isinstance(top.get("annotations") or [], (list, JsonList)):
        raise InputError(f"{place}: 'annotations' is not a list; write the file again")
    faults: list[Rejected] = []
    images: dict[Any, Image | None] = {}
    for i, image in enumerate(top["images"]):
        try:
            _add_image(images, image)
        except BadRecord as fault:
            faults.append(rejected(stream, f"images[{i}]", fault, image))
    categories: dict[Any, str] = {}
    for i, category in enumerate(top.get("categories") or ()):
        try:
            _add_category(categories, category)
        except BadRecord as fault:
            faults.append(rejected(stream, f"categories[{i}]", fault, category))
    return Index(images, categories), faults


def hashable(value: Any) -> Any:
    """COCO ids are numbers or strings; anything else is compared by its text."""
    return value if isinstance(value, (int, float, str, type(None))) else json.dumps(value)


def _add_image(images: dict[Any, Image | None], image: Any) -> None:
    if not isinstance(image, dict) or "id" not in image:
        raise BadRecord("bad-record", "an image needs an id and a file_name")
    if (reference := _reference(image)) is None:
        raise BadRecord("no-media-ref", "the image has neither file_name nor a url")
    image_id = hashable(image["id"])
    if image_id not in images:
        images[image_id] = Image(reference, _facts(image))
        return
    known = images[image_id]
    if known is None or known.reference != reference:
        # Merged exports count from 1 each: whose annotations these are is not to be known.
        images[image_id] = None
        raise BadRecord(
            "duplicate-id",
            f"image id {image_id} names more than one file; give images ids of their own",
        )


def _add_category(categories: dict[Any, str], category: Any) -> None:
    if not isinstance(category, dict) or not {"id", "name"} <= category.keys():
        raise BadRecord("bad-record", "a category needs an id and a name")
    category_id, name = hashable(category["id"]), str(category["name"])
    if categories.setdefault(category_id, name) != name:
        raise BadRecord(
            "duplicate-id",
            f"category id {category_id} is {categories[category_id]!r} and {name!r}; "
            "the first is used",
        )


def _reference(image: dict[str, Any]) -> str | None:
    for name in ("file_name", "coco_url", "flickr_url"):
        if isinstance(image.get(name), str) and image[name].strip():
            return str(image[name])
    return None


def _facts(image: dict[str, Any]) -> dict[str, Any]:
    facts = {f"image_{name}": image.get(name) for name in ("id", "width", "height")}
    facts |= {name: image.get(name) for name in ("coco_url", "flickr_url", "sha256")}
    return {name: value for name, value in facts.items() if value not in (None, "")}
