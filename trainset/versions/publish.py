"""Bringing the home up to its main: manifests of every commit, and the newest small files.

Runs after main moved, and again at the next open when a kill cut it short: ``PUBLISHED`` names the
last commit that was published whole.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import takewhile

from trainset.errors import NotFound
from trainset.stores.base import ObjectStore
from trainset.versions.repository import Repository
from trainset.versions.tree import CommitTree

PUBLISHED = "repo.git/published"
THREADS = 8


def published(store: ObjectStore) -> str | None:
    """The last commit of main that was published whole."""
    try:
        return store.get(PUBLISHED).decode().strip()
    except NotFound:
        return None


def publish(
    store: ObjectStore, repository: Repository, tip: str, *, since: str | None = None
) -> None:
    """Publish everything from the last published commit to ``tip``; safe to repeat.

    Manifests have names of their own and are put plainly. Small files are copies for people and
    scripts that look into the home; readers of a commit take them from the commit.

    Args:
        since: publish from this commit on, whatever was published since: of a fork, both sides
            gave the same names to different manifests.
    """
    done = since or published(store)
    if done == tip:
        return
    missing = list(takewhile(lambda commit: commit != done, repository.line(tip)))
    known = done is not None and repository.has(done) and len(missing) > 0
    before = CommitTree(repository, done if known else None)
    after = CommitTree(repository, tip)
    puts: dict[str, bytes] = {}
    for commit in missing:
        puts |= CommitTree(repository, commit).manifests()
    held = before.manifests()
    puts = {path: data for path, data in puts.items() if held.get(path) != data}
    old, new = before.small_files(), after.small_files()
    puts |= {p: repository.blob(blob) for p, blob in new.items() if old.get(p) != blob}
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(store.put, puts.keys(), puts.values()))
        list(pool.map(store.delete, [p for p in old if p not in new and not after.pointer(p)]))
    store.put(PUBLISHED, f"{tip}\n".encode())
