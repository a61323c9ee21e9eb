"""``make demo``: the whole way on a folder, without a spec to write first."""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from flows.adhoc import tell
from flows.server import managed_server
from trainset.errors import InputError, NotFound
from trainset.home import open_home
from trainset.metadata.discover import Guess, guess_spec
from trainset.model import VERSIONS
from trainset.run.estimate import estimate_run
from trainset.run.examples import SAMPLE, TINY

CACHE = Path(__file__).resolve().parents[1] / ".cache"  # what the demo makes once
HEADER = """\
# Found and guessed by 'make demo' from {source}.
# The next 'make demo' writes this file again: copy it to make it your own, then
#   python -m flows pipeline your.yaml
"""


def run_demo(options: argparse.Namespace) -> int:
    """Guess a spec, say what will happen, run the pipeline, say what happened.

    Returns the exit status of the pipeline (0 with ``--dry-run``).
    """
    source = _source(options.source)
    guess = guess_spec(
        source,
        home=_home(options.out),
        name=SAMPLE if options.source is None else source.name,
        clip=_model(options.model),
    )
    versions = _versions(options.versions, guess.spec.home)
    guess = replace(guess, spec=guess.spec.model_copy(update={"versions": versions}))
    say(*guess.lines())
    say(*estimate_run(guess.spec).lines(), _download(options.model))
    if options.dry_run:
        say("Dry run: nothing was moved. Run it without DRY_RUN to go ahead.")
        return 0
    if options.model is None:
        _train_model()
    spec = _write_spec(guess, source)
    with managed_server():
        from flows.pipeline import pipeline

        return tell(pipeline(str(spec), return_state=True), guess.spec)


def say(*lines: str) -> None:
    for line in lines:
        print(line, file=sys.stderr, flush=True)


def _source(given: Path | None) -> Path:
    if given is None:
        say("No SOURCE given: using a sample of drawn scenes that trainset makes itself.")
        return _make_sample(CACHE / SAMPLE)
    if not given.is_dir():
        raise NotFound(f"{given}: there is no such folder; give SOURCE=<a folder of media>")
    return given.expanduser().resolve()


def _make_sample(folder: Path) -> Path:
    """Draw the sample once; the folder appears whole, because a name may outlive a kill -9."""
    if not folder.exists():
        from trainset.sample import write_sample

        folder.parent.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
        write_sample(building)
        try:
            os.rename(building, folder)
        except OSError:  # another demo was first; what it drew is the same
            shutil.rmtree(building)
    return folder


def _model(given: str | None) -> dict[str, Any]:
    """Parameters of the ``open_clip`` column."""
    if given is None:
        return {"model": f"local-dir:{CACHE / TINY}"}
    model, _, weights = given.partition("/")
    if given.startswith(("local-dir:", "hf-hub:")):
        return {"model": given}
    if not weights:
        raise InputError(
            f"MODEL={given}: name the weights too, as in MODEL=ViT-B-32/laion2b_s34b_b79k"
        )
    return {"model": model, "weights": weights}


def _download(model: str | None) -> str:
    if model is None or model.startswith("local-dir:"):
        return "Download: nothing."
    return f"Download: the weights of {model}, unless they are on this machine already."


def _train_model() -> None:
    """Train the small OpenCLIP once; it lets the demo search by meaning without a download."""
    from tqdm import tqdm

    from trainset.sample.clip import is_trained, train_tiny_clip

    if is_trained(CACHE / TINY):
        return
    say("Training a small OpenCLIP, once; it takes about a minute.")
    with tqdm(desc="training", unit="step", disable=None) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        train_tiny_clip(CACHE / TINY, progress=show)


def _home(out: str) -> str:
    return out if "://" in out else str(Path(out).expanduser().resolve())


def _versions(given: str, home: str) -> str:
    """``lakefs`` alone is a repository named after the home: the same for every run on it."""
    if re.fullmatch(VERSIONS, given):
        return given
    if given != "lakefs":
        raise InputError(f"VERSIONS={given}: write git, lakefs, or lakefs://<repository>")
    name = re.sub(r"[^a-z0-9]+", "-", home.rstrip("/").rpartition("/")[2].lower()).strip("-")
    return f"lakefs://{name[:40] or 'home'}-{hashlib.sha256(home.encode()).hexdigest()[:8]}"


def _write_spec(guess: Guess, source: Path) -> Path:
    """Leave the spec in the home, and give a local path of it."""
    home = open_home(guess.spec.home, create=True, versions=guess.spec.versions)
    body = HEADER.format(source=source) + guess.spec.to_yaml()
    home.store.put("dataset.yaml", body.encode(), content_type="application/yaml")
    if (local := home.store.local_path("dataset.yaml")) is not None:
        return local
    copy = home.state / "dataset.yaml"
    copy.write_text(body, encoding="utf-8")
    return copy
