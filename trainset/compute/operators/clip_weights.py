"""Finding OpenCLIP weights: on this machine first, then by a download that says what it does.

Open_clip would fall back to random weights, or hang for a minute without network; here a model is
found, or one error says how to place it. A model's identity is the sha256 of its checkpoint.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import socket
import urllib.parse
import urllib.request
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from trainset.errors import InputError, MissingExtra, SpecError

CONFIG = "open_clip_config.json"
CHECKPOINTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")


class WeightsMissing(InputError):
    """Model weights are not on this machine, and cannot or may not be fetched."""

    kind = "weights-missing"

    def __init__(self, model: str, source: str | None, why: str) -> None:
        self.model, self.source = model, source
        where = f" of https://huggingface.co/{source}" if source and "/" in source else ""
        super().__init__(
            f"the weights of {model} are not on this machine ({why}). Where there is network, run "
            f"again; else bring a checkpoint ({CHECKPOINTS[0]} or {CHECKPOINTS[1]}{where}) and "
            "name it in the spec as 'weights: /path/to/file', or name a folder that holds it "
            f"beside its {CONFIG} as 'model: local-dir:/path'"
        )


@dataclass(frozen=True)
class Weights:
    """A model that is here.

    Attributes:
        model, tag: for people and for the function's identity; never a path of this machine.
        arch: what open_clip is given: an architecture, or ``local-dir:/path``.
        file: the checkpoint; its ``sha256`` (hex) is the identity.
        dim: length of the vectors.
        preprocess: size (pixels), mean, std, interpolation, resize_mode as far as declared.
    """

    model: str
    tag: str | None
    arch: str
    file: Path
    sha256: str
    dim: int
    preprocess: dict[str, Any] = field(default_factory=dict, compare=False)
    quick_gelu: bool = False


def find_weights(
    model: str, weights: str | None, *, models: Path | None = None, download: bool = True
) -> Weights:
    """Find (or fetch) the weights of ``model``.

    Args:
        model: an architecture (``ViT-B-32``), ``hf-hub:org/repo``, ``local-dir:/path``, or the name
            of such a folder below ``models``.
        weights: a tag of the architecture, or the path of a checkpoint.
        models: folder looked at first; None: the one that ``TRAINSET_MODELS`` names.
    Raises:
        SpecError: the model or the tag is unknown.
        WeightsMissing: see there.
    """
    if models is None and os.environ.get("TRAINSET_MODELS"):
        models = Path(os.environ["TRAINSET_MODELS"])
    folder = _local_folder(model, models)
    if folder is not None:
        return _from_folder(folder)
    if model.startswith("hf-hub:"):
        repo = model.removeprefix("hf-hub:")
        config = _from_hub(repo, (CONFIG,), model, download)
        _from_hub(repo, CHECKPOINTS, model, download)  # lands beside the config
        return replace(_from_folder(config.parent), model=repo)
    return _from_architecture(model, weights, models, download)


def _local_folder(model: str, models: Path | None) -> Path | None:
    if model.startswith("local-dir:"):
        folder = Path(model.removeprefix("local-dir:")).expanduser()
        if not (folder / CONFIG).is_file():
            raise WeightsMissing(model, None, f"{folder} holds no {CONFIG}")
        return folder
    if models is not None and (models / model / CONFIG).is_file():
        return models / model
    return None


def _from_folder(folder: Path) -> Weights:
    folder = folder.absolute()
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        dim = int(config["model_cfg"]["embed_dim"])
    except (json.JSONDecodeError, KeyError, TypeError, ValueError) as err:
        raise InputError(
            f"{folder / CONFIG} is no OpenCLIP config ({err}); fetch it again"
        ) from err
    file = next((folder / name for name in CHECKPOINTS if (folder / name).is_file()), None)
    if file is None:
        raise WeightsMissing(folder.name, None, f"{folder} holds no checkpoint")
    return Weights(
        model=folder.name,
        tag=None,
        arch=f"local-dir:{folder}",
        file=file,
        sha256=sha256_of(file),
        dim=dim,
        preprocess=dict(config.get("preprocess_cfg") or {}),
    )


def _from_architecture(
    model: str, weights: str | None, models: Path | None, download: bool
) -> Weights:
    from trainset.compute.operators.clip_model import load_open_clip

    open_clip = load_open_clip()
    config = open_clip.get_model_config(model)
    if config is None:
        raise SpecError(
            f"model: found {model!r}; allowed are OpenCLIP's architectures (ViT-B-32, …), "
            "hf-hub:org/repo and local-dir:/path"
        )
    tags = open_clip.list_pretrained_tags_by_model(model)
    if not weights:
        raise SpecError(f"weights: missing for {model}; allowed are a path, {', '.join(tags)}")
    card = open_clip.get_pretrained_cfg(model, weights)
    file = _placed(model, weights, models)
    if file is None and not card:
        raise SpecError(
            f"weights: found {weights!r}, which is neither a file nor a tag of {model}; allowed "
            f"are a path, {', '.join(tags)}"
        )
    if file is None:
        file = _fetch_tag(open_clip, card, f"{model}/{weights}", download)
    names = {"mean": "mean", "std": "std", "interpolation": "interpolation"}
    preprocess = {ours: card[theirs] for ours, theirs in names.items() if card.get(theirs)}
    if card.get("resize_mode"):
        preprocess["resize_mode"] = card["resize_mode"]
    return Weights(
        model=model,
        tag=Path(weights).name,
        arch=model,
        file=file,
        sha256=sha256_of(file),
        dim=int(config["embed_dim"]),
        preprocess=preprocess,
        quick_gelu=bool(card.get("quick_gelu")),
    )


def _placed(model: str, weights: str, models: Path | None) -> Path | None:
    """A checkpoint that the user placed: by path, or in the models folder."""
    places = [Path(weights).expanduser()]
    if models is not None:
        stems = [models / weights, models / f"{model}-{weights}"]
        places += [
            *stems,
            *(Path(f"{s}{end}") for s in stems for end in (".safetensors", ".bin", ".pt")),
        ]
    return next((place for place in places if place.is_file()), None)


def _fetch_tag(open_clip: Any, card: dict[str, Any], model: str, download: bool) -> Path:
    repo = str(card.get("hf_hub") or "").strip("/")
    if repo:
        if repo.count("/") == 2:  # org/repo/file
            repo, _, name = repo.rpartition("/")
            return _from_hub(repo, (name,), model, download)
        return _from_hub(repo, CHECKPOINTS, model, download)
    url = str(card["url"])
    cached = Path("~/.cache/clip").expanduser() / url.rpartition("/")[2]
    if not cached.is_file() and not download:
        raise WeightsMissing(model, url, "downloads are off")
    try:
        return Path(open_clip.download_pretrained_from_url(url))
    except (OSError, RuntimeError) as err:
        raise WeightsMissing(model, url, f"{url} cannot be reached") from err


def _from_hub(repo: str, names: tuple[str, ...], model: str, download: bool) -> Path:
    """The first of ``names`` in a Hugging Face repository: from the cache, else fetched."""
    if importlib.util.find_spec("huggingface_hub") is None:
        raise MissingExtra("fetching OpenCLIP weights", "clip")
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    for name in names:
        try:
            return Path(hf_hub_download(repo, name, local_files_only=True))
        except LocalEntryNotFoundError:
            continue
    if not download:
        raise WeightsMissing(model, repo, "downloads are off")
    _check_reachable(repo, model)
    for name in names:
        try:
            return Path(hf_hub_download(repo, name, etag_timeout=5))
        except LocalEntryNotFoundError as err:
            raise WeightsMissing(model, repo, "huggingface.co cannot be reached") from err
        except EntryNotFoundError:
            continue
        except Exception as err:  # httpx, requests and OS errors, by version of the hub's client
            raise WeightsMissing(model, repo, f"{type(err).__name__}: {err}"[:200]) from err
    raise WeightsMissing(model, repo, f"the repository holds none of {', '.join(names)}")


def _check_reachable(repo: str, model: str) -> None:
    """Fail in seconds where there is no network: the hub's client would retry for a minute."""
    from huggingface_hub import constants

    host = urllib.parse.urlsplit(constants.ENDPOINT)
    if constants.HF_HUB_OFFLINE:
        raise WeightsMissing(model, repo, "HF_HUB_OFFLINE is set")
    if urllib.request.getproxies():
        return  # the way goes through a proxy, which the hub's client knows how to ask
    try:
        port = host.port or (80 if host.scheme == "http" else 443)
        socket.create_connection((host.hostname or "", port), timeout=5).close()
    except OSError as err:
        raise WeightsMissing(model, repo, f"{host.hostname} cannot be reached") from err


def sha256_of(file: Path) -> str:
    """sha256 of a file, read once a process as long as the file does not change."""
    facts = file.stat()
    return _hash(str(file.resolve()), facts.st_size, facts.st_mtime_ns)


@lru_cache(maxsize=64)
def _hash(path: str, size: int, modified_ns: int) -> str:
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
