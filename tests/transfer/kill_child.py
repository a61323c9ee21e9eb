"""A transfer to be killed: ``kill_child.py <source> <home url> <threads>``.

Prints ``go`` when the first file is about to move. Credentials and state folder come from the
environment, as in production.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

from trainset.home import open_home
from trainset.model import MediaFacts, StoreOptions
from trainset.spec import MediaSource
from trainset.stores import open_source
from trainset.transfer import list_source, plan_transfer, send_batch
from trainset.transfer.ledger import open_ledger


def no_look(data: bytes | Path, name: str) -> MediaFacts:
    return MediaFacts(mime="application/octet-stream", modality="other")


def main(folder: str, url: str, threads: str) -> None:
    home = open_home(url, create=True, options=StoreOptions(requests_per_s=1e6))
    source = MediaSource.model_validate({"name": "cam", "from": folder})
    store = open_source(source.from_)
    listing = list_source(source, store, home=home.url)
    plan = plan_transfer(listing, {}, [source], now=datetime.now(UTC))
    ledger = open_ledger(home.state, home.url, url=None)
    print("go", flush=True)
    for batch in plan.batches:
        send_batch(
            batch,
            sources={"cam": store},
            home=home,
            ledger=ledger,
            probe=no_look,
            threads=int(threads),
        )
    ledger.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
