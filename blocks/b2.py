"""Backblaze B2: an application key, and a bucket that it opens."""

from __future__ import annotations

from functools import lru_cache
from threading import Lock
from typing import Any

from prefect.blocks.abstract import CredentialsBlock
from prefect_aws import S3Bucket
from prefect_aws.client_parameters import AwsClientParameters
from pydantic import ConfigDict, Field, SecretStr, field_validator

from trainset.model import Credentials
from trainset.stores import open_store
from trainset.stores.base import ObjectStore
from trainset.stores.endpoint import normal_endpoint, region_of
from trainset.stores.s3_client import make_client
from trainset.stores.s3_probe import is_customer_key

_LOGO = "https://www.backblaze.com/favicon.ico"  # fetched by the browser, never by us
_LOCK = Lock()


@lru_cache(maxsize=16)
def _client(key_id: str, application_key: str, endpoint: str) -> Any:
    # A client costs 0.1 s of CPU, and every call of S3Bucket asks for one. Held here and not in the
    # block, which stays picklable.
    with _LOCK:  # boto3's construction is not thread-safe
        return make_client(
            Credentials(
                key_id=key_id, application_key=SecretStr(application_key), endpoint=endpoint
            )
        )


class B2Credentials(CredentialsBlock):
    """An application key for Backblaze B2's S3-compatible API, or for any S3-compatible store.

    Example:
        ```python
        from blocks import B2Credentials

        B2Credentials(
            key_id="0041…", application_key="K004…", endpoint="https://s3.us-west-004.backblazeb2.com"
        ).save("training")
        ```
        In dataset.yaml then: `credentials: training`.
    """

    model_config = ConfigDict(hide_input_in_errors=True)  # it may hold the secret

    _block_type_name = "Backblaze B2 Credentials"
    _block_type_slug = "b2-credentials"
    _logo_url = _LOGO
    _documentation_url = "https://www.backblaze.com/docs/cloud-storage-s3-compatible-app-keys"
    _description = "An application key for Backblaze B2, or for any S3-compatible store."

    key_id: str = Field(
        title="Application key ID",
        description="The keyID that was shown when the application key was made. "
        "The account's master key does not work with the S3-compatible API.",
        min_length=1,
    )
    application_key: SecretStr = Field(
        title="Application key", description="The secret half, shown once when the key was made."
    )
    endpoint: str = Field(
        title="S3 endpoint",
        description="Shown on the bucket's page: https://s3.<region>.backblazeb2.com. "
        "A key works only at the endpoint of its account's region.",
        examples=["https://s3.us-west-004.backblazeb2.com"],
    )

    customer_key: SecretStr | None = Field(
        default=None,
        title="Customer key (SSE-C)",
        description="Only for encryption with a key of your own: 32 bytes in base64, as "
        "`openssl rand -base64 32` prints them. Without it the objects cannot be read again.",
    )

    @field_validator("customer_key", mode="before")
    @classmethod
    def _none(cls, value: Any) -> Any:
        plain = value.get_secret_value() if isinstance(value, SecretStr) else value
        return value if plain else None  # a form sends what was left empty as ""

    @field_validator("customer_key")
    @classmethod
    def _whole_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not is_customer_key(value.get_secret_value()):
            raise ValueError("a customer key is 32 bytes in base64: openssl rand -base64 32")
        return value

    @field_validator("endpoint")
    @classmethod
    def _normal(cls, value: str) -> str:
        return normal_endpoint(value)

    def to_credentials(self) -> Credentials:
        """What the library takes."""
        return Credentials(
            key_id=self.key_id,
            application_key=self.application_key,
            endpoint=self.endpoint,
            customer_key=self.customer_key,
        )

    def get_client(self, client_type: str = "s3") -> Any:
        """A shared, thread-safe boto3 client with the settings that B2 needs."""
        if str(client_type) not in ("s3", "ClientType.S3"):
            raise ValueError(f"B2 speaks s3 only, not {client_type!r}")
        return _client(self.key_id, self.application_key.get_secret_value(), self.endpoint)

    def get_s3_client(self) -> Any:
        return self.get_client("s3")

    # The two that S3Bucket needs to copy whole directories.
    @property
    def aws_client_parameters(self) -> AwsClientParameters:
        return AwsClientParameters(
            endpoint_url=self.endpoint, config=self.get_s3_client().meta.config
        )

    def get_boto3_session(self) -> Any:
        import boto3

        return boto3.session.Session(
            aws_access_key_id=self.key_id,
            aws_secret_access_key=self.application_key.get_secret_value(),
            region_name=region_of(self.endpoint),
        )


class B2Bucket(S3Bucket):
    """A B2 bucket, or a folder of it: a place for media and datasets, and for Prefect's results.

    Example:
        ```python
        from blocks import B2Bucket

        bucket = B2Bucket.load("street-scenes")
        bucket.url                     # b2://acme-training/street-scenes
        bucket.open().list("media/")   # trainset's object store
        bucket.read_path("note.txt")   # all of prefect-aws's S3Bucket
        ```
    """

    _block_type_name = "Backblaze B2 Bucket"
    _block_type_slug = "b2-bucket"
    _logo_url = _LOGO
    _documentation_url = "https://www.backblaze.com/docs/cloud-storage-s3-compatible-api"
    _description = "A B2 bucket, or a folder of it: a place for media, datasets and results."

    bucket_name: str = Field(title="Bucket", description="The bucket's name.", min_length=3)
    credentials: B2Credentials = Field(
        title="Credentials", description="The application key that opens the bucket."
    )
    bucket_folder: str = Field(
        default="", title="Folder", description="A folder of the bucket; empty for all of it."
    )

    # Named as S3Bucket's own validator, to replace it: that one looks for a union of types, finds
    # none here, and makes every load() fail, though save() works.
    @field_validator("credentials", mode="before")
    @classmethod
    def validate_credentials(cls, value: Any) -> Any:
        return value

    @property
    def url(self) -> str:
        """``b2://bucket/folder``, as a dataset spec writes it."""
        return f"b2://{self.bucket_name}/{self.bucket_folder.strip('/')}".rstrip("/")

    def to_credentials(self) -> Credentials:
        return self.credentials.to_credentials()

    def open(self) -> ObjectStore:
        """The bucket (or its folder) as trainset's object store."""
        return open_store(self.url, self.to_credentials())
