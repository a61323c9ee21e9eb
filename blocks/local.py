"""A folder as a place for media and datasets."""

from __future__ import annotations

from pathlib import Path

from prefect.blocks.core import Block
from prefect.filesystems import LocalFileSystem
from pydantic import Field

from trainset.stores import open_store
from trainset.stores.base import ObjectStore


class LocalStore(Block):
    """A folder on the worker's disk or on a mounted share: where media come from or a dataset lies.

    Example:
        ```python
        from blocks import LocalStore

        LocalStore(folder="/mnt/nas/cameras").save("cameras")
        ```
    """

    _block_type_name = "Local Store"
    _block_type_slug = "local-store"
    _logo_url = LocalFileSystem._logo_url
    _description = "A folder: where media come from, or where a dataset lies."

    folder: Path = Field(
        title="Folder", description="An absolute path on the machine that runs the flow."
    )

    @property
    def url(self) -> str:
        """The folder's absolute path, as a dataset spec writes it."""
        return str(self.folder.expanduser().absolute())

    def to_credentials(self) -> None:
        """A folder needs none."""

    def open(self) -> ObjectStore:
        """The folder as trainset's object store."""
        return open_store(self.url)
