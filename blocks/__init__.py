"""Prefect blocks: credentials, and the places that media and datasets lie in."""

from blocks.b2 import B2Bucket, B2Credentials
from blocks.destination import MediaDestination
from blocks.lakefs import LakeFSRepository
from blocks.ledger import LedgerDatabase
from blocks.local import LocalStore

__all__ = [
    "B2Bucket",
    "B2Credentials",
    "LakeFSRepository",
    "LedgerDatabase",
    "LocalStore",
    "MediaDestination",
]
