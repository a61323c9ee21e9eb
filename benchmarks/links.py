"""Media linked into lakeFS by reference: ours, and the plainest ways to make the same calls.

    python benchmarks/links.py [--quick] [--json]

100,000 media of 1 MB each (files without blocks, so that 100 GB fit) are linked on a run branch.
``link_rate`` is the run's own way, with what it does besides: a listing of what is there, the
trial of the place, retries, and our sha256. ``keep_alive`` makes the same calls from 16 threads
over a connection each and does nothing else; ``sdk`` makes them by lakefs-sdk. ``resumed_rate`` is
the rest of a linking that was cut off half-way; ``unchanged`` and ``one_percent`` are whole runs
over a base that is linked already. ``sent`` is all that went over the loopback interface, beside
the size of the media. The server is the ``lakefs`` on PATH, else the tests' fake, with 2,000 media.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from urllib.parse import quote, urlsplit

from measure import Results, arguments

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from services.lakefs import LakeFSServer, kinds, lakefs_server

from trainset.home import Home, open_home
from trainset.versions.base import MediaLink, Workspace

COUNT, QUICK_COUNT = 100_000, 2_000
SIZE = 10**6
THREADS = 16  # of the peers: facts on lakeFS name their rate with so many
SDK_COUNT = 2_000


def main() -> None:
    options, kind = arguments(__doc__.splitlines()[0]), kinds()[-1]
    count = QUICK_COUNT if options.quick or kind == "fake" else COUNT
    results = Results()
    with (
        lakefs_server(kind) as server,
        tempfile.TemporaryDirectory(prefix="bench-") as state,
    ):
        print(f"lakeFS: {server.kind} {server.version}, {count:,} media", file=sys.stderr)
        os.environ.update(server.environment, TRAINSET_STATE=state)
        _measure(server, count, results)
    if options.json:
        results.print_json()


def _measure(server: LakeFSServer, count: int, results: Results) -> None:
    root = str(server.external).removeprefix("local://") + "/home"
    home = open_home(root, create=True, versions="lakefs://bench-links")
    links = _media(Path(root), count)
    sent = _sent()
    rates = {
        "keep_alive": _rate(count, lambda: _keep_alive(server, home, links)),
        "sdk": _rate(SDK_COUNT, lambda: _sdk(home, links[:SDK_COUNT])),
    }
    workspace = home.versions.begin("whole")
    ours = _rate(count, lambda: _expect(workspace.link_media(links), linked=count))
    results.add("link_rate", ours, "links/s", peers=rates)
    workspace.commit("whole", {})
    workspace.merge()
    half = count // 2
    cut = home.versions.begin("cut", base=_empty_branch(home))
    _cut_off(cut, links, half)
    rest = count - _staged(home, "cut")
    resumed = home.versions.begin("cut")
    rate = _rate(rest, lambda: _expect(resumed.link_media(links), linked=rest))
    results.add("resumed_rate", rate, "links/s")
    again = home.versions.begin("again")
    took = 1 / _rate(1, lambda: _expect(again.link_media(links, before=links), kept=count))
    results.add("unchanged", took, "s")
    new = [link._replace(sha256="f" * 64) if n % 100 == 0 else link for n, link in enumerate(links)]
    few = -(-count // 100)
    took = 1 / _rate(1, lambda: _expect(again.link_media(new, before=links), linked=few))
    results.add("one_percent", took, "s")
    results.add("sent", (_sent() - sent) / 1e6, "MB", peers={"media": count * SIZE / 1e6})


def _media(root: Path, count: int) -> list[MediaLink]:
    """Files of a size without blocks; ascending by path."""
    place = root / "media"
    place.mkdir(parents=True, exist_ok=True)
    links = []
    for number in range(count):
        name = f"{number:06d}.jpg"
        with (place / name).open("wb") as file:
            file.truncate(SIZE)
        address = f"local://{place}/{name}"
        links.append(
            MediaLink(f"media/cam/{name}", address, f"{number:064x}", SIZE, "image/jpeg", "bench")
        )
    return links


def _rate(count: int, work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return count / (time.perf_counter() - began)


def _expect(found: object, **counts: int) -> None:
    """Raise unless the links say so."""
    for name, count in counts.items():
        if getattr(found, name) != count:
            raise SystemExit(f"{name} should be {count}: {found}")


def _empty_branch(home: Home) -> str:
    """A branch that links nothing: main's first commit unlinked again."""
    home.versions.create_branch("empty")
    workspace = home.versions.begin("unlink", base="empty")
    workspace.link_media(())
    workspace.commit("unlink", {})
    workspace.merge()
    return "empty"


def _cut_off(workspace: Workspace, links: list[MediaLink], after: int) -> None:
    def some() -> Iterator[MediaLink]:
        yield from islice(links, after)
        raise KeyboardInterrupt

    try:
        workspace.link_media(some())
    except KeyboardInterrupt:
        return
    raise SystemExit("it was not cut off")


def _staged(home: Home, run_id: str) -> int:
    from trainset.versions.lakefs.names import branch_of_run

    return sum(1 for _ in home.versions.repository.list(branch_of_run(run_id), "media/"))


def _keep_alive(server: LakeFSServer, home: Home, links: list[MediaLink]) -> None:
    workspace = home.versions.begin("plain")
    parts = urlsplit(server.endpoint)
    keys = base64.b64encode(f"{server.key_id}:{server.secret}".encode()).decode()
    headers = {"Authorization": f"Basic {keys}", "Content-Type": "application/json"}
    target = f"/api/v1/repositories/bench-links/branches/{workspace.branch}/staging/backing?path="

    def some(mine: list[MediaLink]) -> None:
        connection = http.client.HTTPConnection(str(parts.hostname), parts.port)
        for link in mine:
            body = {
                "staging": {"physical_address": link.address},
                "checksum": link.sha256,
                "size_bytes": link.size,
            }
            connection.request("PUT", target + quote(link.path, safe=""), json.dumps(body), headers)
            reply = connection.getresponse()
            reply.read()
            if reply.status != 200:
                raise SystemExit(f"{link.path}: {reply.status}")
        connection.close()

    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(some, [links[number::THREADS] for number in range(THREADS)]))
    workspace.discard()


def _sdk(home: Home, links: list[MediaLink]) -> None:
    workspace = home.versions.begin("by-sdk")

    def one(link: MediaLink) -> None:
        home.versions.repository.link(
            workspace.branch, link.path, link.address, sha256=link.sha256, size=link.size
        )

    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(one, links))
    workspace.discard()


def _sent() -> int:
    """Bytes that the loopback interface carried so far."""
    lines = Path("/proc/net/dev").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.split()[0] == "lo:")


if __name__ == "__main__":
    main()
