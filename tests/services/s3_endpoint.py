"""An S3 endpoint for tests: real or moto, always behind the B2-strict proxy."""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pydantic import SecretStr

from services import moto_s3, real, rgw
from services.b2_strict import B2Strict
from trainset.model import Credentials, StoreOptions
from trainset.stores.retry import Retrier
from trainset.stores.s3 import S3Store
from trainset.stores.s3_client import make_client


@dataclass
class RunningServer:
    """A gateway that someone else started, and ends."""

    url: str

    def stop(self) -> None:
        return


@dataclass
class S3Endpoint:
    """A running endpoint; ``kind`` is what stands behind the proxy: ceph or moto."""

    kind: str
    proxy: B2Strict
    server: rgw.Rgw | moto_s3.MotoS3 | RunningServer
    key_id: str
    secret: str

    @property
    def url(self) -> str:
        return self.proxy.url

    @property
    def credentials(self) -> Credentials:
        return Credentials(
            key_id=self.key_id, application_key=SecretStr(self.secret), endpoint=self.url
        )

    @property
    def environment(self) -> dict[str, str]:
        """What the library reads where it is given no credentials."""
        return {
            "B2_KEY_ID": self.key_id,
            "B2_APPLICATION_KEY": self.secret,
            "TRAINSET_S3_ENDPOINT": self.url,
        }

    @cached_property
    def _direct(self) -> Any:
        # Past the proxy: boto3 sends a checksum with versioning, which B2 would refuse.
        return make_client(self.credentials.model_copy(update={"endpoint": self.server.url}))

    def new_bucket(self, *, locks: bool = False) -> S3Bucket:
        """A new bucket that keeps versions, as every B2 bucket does; ``locks``: Object Lock too."""
        name = f"t-{uuid.uuid4().hex[:16]}"
        client = self._direct
        client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=locks)
        client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        return S3Bucket(name, self)

    def stop(self) -> None:
        self.proxy.stop()
        self.server.stop()


@dataclass
class S3Bucket:
    """One bucket on an endpoint."""

    name: str
    endpoint: S3Endpoint

    @property
    def proxy(self) -> B2Strict:
        return self.endpoint.proxy

    @property
    def url(self) -> str:
        return f"s3://{self.name}"

    def purge(self) -> None:
        """Free the memory of what is in it; call it after a gigabyte."""
        if isinstance(self.endpoint.server, rgw.Rgw):
            self.endpoint.server.purge(self.name)

    def store(
        self,
        prefix: str = "",
        *,
        multipart_bytes: int = 100 * 2**20,
        options: StoreOptions | None = None,
    ) -> S3Store:
        """A store that retries fast."""
        return S3Store(
            self.name,
            prefix,
            self.endpoint.credentials,
            retrier=Retrier(attempts=12, base_s=0.005, cap_s=0.1),
            multipart_bytes=multipart_bytes,
            options=options,
        )


def start() -> S3Endpoint:
    """Ceph where it is installed; else moto, unless real parts are required.

    ``TRAINSET_TEST_RGW`` names the URL of a gateway that runs already (keys as in ``rgw``).
    """
    if url := os.environ.get("TRAINSET_TEST_RGW"):
        return S3Endpoint("ceph", B2Strict(url), RunningServer(url), rgw.KEY_ID, rgw.SECRET)
    if rgw.installed():
        gateway = rgw.Rgw()
        return S3Endpoint("ceph", B2Strict(gateway.url), gateway, rgw.KEY_ID, rgw.SECRET)
    real.missing["Ceph RADOS Gateway"] = rgw.INSTALL
    if real.required():
        real.need("Ceph RADOS Gateway", rgw.INSTALL)
    moto = moto_s3.MotoS3()
    return S3Endpoint("moto", B2Strict(moto.url), moto, moto_s3.KEY_ID, moto_s3.SECRET)
