"""Re-checks a finished export against its own manifest, without the home it came from."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from trainset.errors import InputError, NotFound
from trainset.export.hashed_file import hash_file
from trainset.export.manifest import MANIFEST, SAMPLES, Manifest, SampleRecord, hash_dataset


def verify_export(folder: Path) -> list[str]:
    """Hash every file of an export again; each line names what is wrong. Empty: all is well.

    Raises:
        NotFound: there is no manifest.
        InputError: the manifest cannot be read.
    """
    path = folder / MANIFEST
    if not path.exists():
        raise NotFound(f"{path} is not there, so this is no whole export; export it again")
    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
    except ValidationError as err:
        raise InputError(f"{path} cannot be read; export it again ({err})") from err
    faults = []
    for file in manifest.files:
        found = folder / file.path
        if not found.is_file():
            faults.append(f"{file.path} is missing; export again")
        elif found.stat().st_size != file.size:
            size = found.stat().st_size
            faults.append(f"{file.path} has {size} bytes, not {file.size}; export again")
        elif (sha256 := hash_file(found)) != file.sha256:
            faults.append(f"{file.path} has sha256 {sha256}, not {file.sha256}; export again")
    known = {file.path for file in manifest.files} | {MANIFEST}
    there = (p.relative_to(folder).as_posix() for p in sorted(folder.rglob("*")) if p.is_file())
    faults += [f"{name} is not in the manifest; delete it" for name in there if name not in known]
    return faults or _check_samples(folder, manifest)


def read_samples(folder: Path) -> list[SampleRecord]:
    """Every sample of an export, in the order of its shards."""
    lines = (folder / SAMPLES).read_bytes().splitlines()
    return [SampleRecord.model_validate_json(line) for line in lines]


def _check_samples(folder: Path, manifest: Manifest) -> list[str]:
    samples = read_samples(folder)
    total = sum(manifest.samples.values())
    if len(samples) != total:
        return [f"{SAMPLES} lists {len(samples)} samples, the manifest says {total}; export again"]
    if (found := hash_dataset(samples)) != manifest.dataset_sha256:
        return [f"{SAMPLES} hashes to {found}, not {manifest.dataset_sha256}; export again"]
    return []
