"""A repository on a lakeFS server, in which a dataset's versions are kept."""

from __future__ import annotations

from prefect.blocks.abstract import CredentialsBlock
from pydantic import ConfigDict, Field, SecretStr, field_validator

from trainset.model import LAKEFS, REPOSITORY
from trainset.versions.lakefs.access import LakeFSAccess, server_of

_LOGO = "https://lakefs.io/favicon.ico"  # fetched by the browser, never by us


class LakeFSRepository(CredentialsBlock):
    """A lakeFS repository, and the key that opens its server.

    Example:
        ```python
        from blocks import LakeFSRepository

        LakeFSRepository(
            endpoint="https://lakefs.acme.example",
            key_id="AKIA…",
            secret_key="…",
            repository="street-scenes",
            storage_namespace="s3://acme-training/lakefs",
        ).save("street-scenes")
        ```
        In dataset.yaml then: `versions: block:street-scenes`.
    """

    model_config = ConfigDict(hide_input_in_errors=True)  # it may hold the secret

    _block_type_name = "lakeFS Repository"
    _block_type_slug = "lakefs-repository"
    _logo_url = _LOGO
    _documentation_url = "https://docs.lakefs.io/latest/reference/s3/"
    _description = "A lakeFS repository that keeps a dataset's versions, and the key to its server."

    endpoint: str = Field(
        title="Endpoint",
        description="Of the server itself: https://host or http://host:port.",
        examples=["https://lakefs.acme.example"],
    )
    key_id: str = Field(title="Access key ID", description="Made in the server's UI.", min_length=1)
    secret_key: SecretStr = Field(
        title="Secret access key", description="The secret half, shown once when the key was made."
    )
    repository: str = Field(
        title="Repository",
        description="3 to 63 lower-case letters, digits and '-'. It is made if it is not there.",
        pattern=rf"^{REPOSITORY}$",
    )
    storage_namespace: str = Field(
        default="",
        title="Storage namespace",
        description="Where a new repository is made, in a folder of its name below this one: "
        "s3://bucket/lakefs. Leave it empty when the repository is there.",
    )

    @field_validator("endpoint")
    @classmethod
    def _normal(cls, value: str) -> str:
        return server_of(value)

    @property
    def url(self) -> str:
        """``lakefs://repository``, as a dataset spec writes it."""
        return LAKEFS + self.repository

    def to_access(self) -> LakeFSAccess:
        """What the library takes."""
        return LakeFSAccess(
            endpoint=self.endpoint,
            key_id=self.key_id,
            secret_key=self.secret_key,
            storage_namespace=self.storage_namespace or None,
        )

    def get_client(self) -> None:
        """None: the library connects by ``to_access``."""
