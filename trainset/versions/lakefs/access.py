"""``LakeFSAccess``: where the lakeFS server is, and our key there."""

from __future__ import annotations

import os

from pydantic import Field, SecretStr

from trainset.errors import AccessDenied, InputError
from trainset.model import Credentials, Frozen
from trainset.stores.endpoint import normal_endpoint

VARIABLES = ("LAKEFS_ENDPOINT", "LAKEFS_ACCESS_KEY_ID", "LAKEFS_SECRET_ACCESS_KEY")
NAMESPACE = "LAKEFS_STORAGE_NAMESPACE"


class LakeFSAccess(Frozen):
    """How a lakeFS server is reached."""

    endpoint: str = Field(description="http(s)://host[:port], with or without /api/v1")
    key_id: str
    secret_key: SecretStr
    storage_namespace: str | None = Field(
        default=None,
        description="where new repositories lie, each in a folder of its name: s3://bucket/lakefs",
    )

    @property
    def url(self) -> str:
        """The server itself: its S3 gateway answers here, its API below /api/v1."""
        return server_of(self.endpoint)

    def gateway(self) -> Credentials:
        """The same key, for the S3 gateway."""
        return Credentials(key_id=self.key_id, application_key=self.secret_key, endpoint=self.url)


def server_of(endpoint: str) -> str:
    """The server of an endpoint, without ``/api/v1``, which lakeFS's own tools ask for.

    Raises:
        InputError: it is no address of a server.
    """
    try:
        return normal_endpoint(endpoint.strip().rstrip("/").removesuffix("/api/v1"))
    except InputError as err:
        raise InputError(
            f"{endpoint!r} is no lakeFS server; it reads https://lakefs.example.com, or "
            "http://host:port"
        ) from err


def access_from_environment() -> LakeFSAccess:
    """Raises AccessDenied, naming the variables that are not set."""
    values = {name: os.environ.get(name, "") for name in VARIABLES}
    if missing := [name for name, value in values.items() if not value]:
        raise AccessDenied(
            f"no way to the lakeFS server: set {', '.join(missing)} "
            "(LAKEFS_ENDPOINT reads http(s)://host:port; the keys are made in the server's UI)"
        )
    endpoint, key_id, secret = values.values()
    return LakeFSAccess(
        endpoint=endpoint,
        key_id=key_id,
        secret_key=SecretStr(secret),
        storage_namespace=os.environ.get(NAMESPACE) or None,
    )
