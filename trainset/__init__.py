"""trainset: one versioned, queryable, training-ready dataset from scattered media and labels.

>>> import trainset
>>> ds = trainset.open("out/demo", ref="v1")  # doctest: +SKIP
>>> ds.table("media").where("width >= 640").to_pandas()  # doctest: +SKIP

Importing this package loads nothing heavy: no Lance, no torch, no boto3, no Prefect.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trainset.dataset import Dataset
    from trainset.model import Credentials

    __version__: str

__all__ = ["__version__", "open"]


def open(url: str, ref: str = "main", *, credentials: Credentials | None = None) -> Dataset:
    """Open a dataset for reading; see ``trainset.dataset.open``."""
    from trainset.dataset import open as open_dataset

    return open_dataset(url, ref, credentials=credentials)


def __getattr__(name: str) -> str:
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("trainset")
        except PackageNotFoundError:  # a source tree on sys.path, never installed
            return "0+unknown"
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
