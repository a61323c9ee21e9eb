"""The configuration of a real lakeFS server on loopback, ready without a visit to its UI."""

from __future__ import annotations

from pathlib import Path

from services.s3_endpoint import S3Bucket


def configuration(
    root: Path, port: int, bucket: S3Bucket | None, key_id: str, secret: str
) -> dict[str, object]:
    """Everything below ``root``, or the bytes in ``bucket``; these keys are the first user's."""
    store: dict[str, object] = {
        "type": "local",
        "local": {
            "path": f"{root}/blocks",
            "import_enabled": True,
            "allowed_external_prefixes": [f"{root}/external"],
        },
    }
    if bucket is not None:
        keys = {
            "access_key_id": bucket.endpoint.key_id,
            "secret_access_key": bucket.endpoint.secret,
        }
        store = {
            "type": "s3",
            "s3": {
                "endpoint": bucket.endpoint.url,
                "region": "us-east-1",
                "force_path_style": True,
                "discover_bucket_region": False,
                "credentials": keys,
            },
        }
    return {
        "listen_address": f"127.0.0.1:{port}",
        "database": {"type": "local", "local": {"path": f"{root}/kv"}},
        "blockstore": store,
        "auth": {"encrypt": {"secret_key": "only for this test session"}},
        "stats": {"enabled": False},
        "logging": {"level": "ERROR"},
        "installation": {
            "user_name": "trainset-tests",
            "access_key_id": key_id,
            "secret_access_key": secret,
        },
    }
