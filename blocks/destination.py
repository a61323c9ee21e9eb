"""A place that transfer rules send media to, and how its objects are kept."""

from __future__ import annotations

from typing import Literal

from prefect.blocks.core import Block
from pydantic import ConfigDict, Field, model_validator

from blocks.b2 import _LOGO, B2Credentials
from trainset.model import Credentials, Protection, StoreOptions
from trainset.stores import open_store
from trainset.stores.base import ObjectStore


class MediaDestination(Block):
    """A bucket, or a folder of it, that media are sent to: with its locks, encryption and limits.

    Example:
        ```python
        from blocks import B2Credentials, MediaDestination

        MediaDestination(
            bucket_name="acme-archive",
            bucket_folder="scenes",
            credentials=B2Credentials.load("archive"),
            lock="governance",
            lock_days=365,
        ).save("archive")
        ```
        In dataset.yaml then, as the place of a rule: `to: block:archive`.
    """

    model_config = ConfigDict(hide_input_in_errors=True)  # it may hold the secret

    _block_type_name = "Media Destination"
    _block_type_slug = "media-destination"
    _logo_url = _LOGO
    _documentation_url = "https://www.backblaze.com/docs/cloud-storage-object-lock"
    _description = "A bucket for media: its key, locks, encryption and limits, under one name."

    bucket_name: str = Field(title="Bucket", description="The bucket's name.", min_length=3)
    credentials: B2Credentials = Field(
        title="Credentials", description="The application key that opens the bucket."
    )
    bucket_folder: str = Field(
        default="", title="Folder", description="A folder of the bucket; empty for all of it."
    )
    lock: Literal["none", "governance", "compliance"] = Field(
        default="none",
        title="Object Lock",
        description="governance: a key with bypassGovernance may still delete. compliance: nobody "
        "may before the time is over, and the storage is billed until then.",
    )
    lock_days: int = Field(
        default=0,
        ge=0,
        le=36_500,
        title="Lock for (days)",
        description="Counted from the moment an object is written; 0 without Object Lock.",
    )
    legal_hold: bool = Field(
        default=False,
        title="Legal hold",
        description="No deletion until someone lifts the hold, whatever the days say.",
    )
    encryption: Literal["bucket", "b2", "customer"] = Field(
        default="bucket",
        title="Encryption",
        description="bucket: as the bucket's default says. b2: the store's keys (SSE-B2). "
        "customer: your own key (SSE-C), which the credentials must hold.",
    )
    sender: Literal["auto", "fast", "boto3"] = Field(
        default="auto",
        title="Sender",
        description="auto is right unless a proxy or an odd endpoint needs boto3.",
    )
    requests_per_second: float = Field(
        default=450.0,
        gt=0,
        title="Requests a second",
        description="At most, for one key and endpoint on one machine. B2 allows 500 by default.",
    )
    bandwidth: str = Field(
        default="",
        title="Bandwidth",
        description="50MB/s, or a timetable of local times: 08:00 10MB/s, 18:00 off. "
        "Empty: no limit.",
    )

    @model_validator(mode="after")
    def _whole(self) -> MediaDestination:
        if (self.lock == "none") != (self.lock_days == 0):
            raise ValueError("Object Lock and its days go together: say both, or neither")
        if self.encryption == "customer" and self.credentials.customer_key is None:
            raise ValueError("encryption 'customer' needs credentials with a customer key")
        return self

    @property
    def url(self) -> str:
        """``b2://bucket/folder``, as a dataset spec writes it."""
        return f"b2://{self.bucket_name}/{self.bucket_folder.strip('/')}".rstrip("/")

    @property
    def protection(self) -> Protection:
        """How its objects are kept."""
        return Protection(
            lock=None if self.lock == "none" else self.lock,
            lock_days=self.lock_days or None,
            legal_hold=self.legal_hold,
            encryption=None if self.encryption == "bucket" else self.encryption,
        )

    @property
    def options(self) -> StoreOptions:
        """How the library uses it."""
        return StoreOptions(
            sender=self.sender,
            requests_per_s=self.requests_per_second,
            bandwidth=self.bandwidth or None,
            protection=self.protection,
        )

    def to_credentials(self) -> Credentials:
        return self.credentials.to_credentials()

    def open(self) -> ObjectStore:
        """The place as trainset's object store."""
        return open_store(self.url, self.to_credentials(), self.options)
