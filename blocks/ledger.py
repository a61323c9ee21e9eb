"""The PostgreSQL database in which several hosts share a transfer ledger."""

from __future__ import annotations

from urllib.parse import quote

from prefect.blocks.abstract import CredentialsBlock
from pydantic import ConfigDict, Field, SecretStr

_LOGO = "https://www.postgresql.org/favicon.ico"  # fetched by the browser, never by us


class LedgerDatabase(CredentialsBlock):
    """A PostgreSQL database for the transfer ledger, when more than one host transfers.

    Example:
        ```python
        from blocks import LedgerDatabase

        LedgerDatabase(
            host="db.acme.example", database="trainset", user="transfer", password="…"
        ).save("shared")
        ```
        In dataset.yaml then: `transfer: {ledger: shared}`.
    """

    model_config = ConfigDict(hide_input_in_errors=True)  # it may hold the secret

    _block_type_name = "Transfer Ledger (PostgreSQL)"
    _block_type_slug = "ledger-database"
    _logo_url = _LOGO
    _documentation_url = "https://www.postgresql.org/docs/current/libpq-connect.html"
    _description = "A PostgreSQL database in which several hosts share one transfer ledger."

    host: str = Field(
        title="Host", description="Name or address of the database server.", min_length=1
    )
    port: int = Field(default=5432, ge=1, le=65535, title="Port", description="Usually 5432.")
    database: str = Field(
        title="Database", description="It must be there; tables are made.", min_length=1
    )
    user: str = Field(title="User", description="May create tables in the database.", min_length=1)
    password: SecretStr = Field(title="Password", description="Of the user.")
    sslmode: str = Field(
        default="prefer",
        title="TLS",
        description="As PostgreSQL calls it: disable, prefer, require, verify-ca or verify-full.",
        pattern="^(disable|allow|prefer|require|verify-ca|verify-full)$",
    )

    @property
    def url(self) -> SecretStr:
        """``postgresql://…`` with the password: hidden wherever it is shown."""
        login = f"{_part(self.user)}:{_part(self.password.get_secret_value())}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        place = f"{host}:{self.port}/{_part(self.database)}?sslmode={self.sslmode}"
        return SecretStr(f"postgresql://{login}@{place}")

    def get_client(self) -> None:
        """None: the library connects by ``url``."""


def _part(text: str) -> str:
    return quote(text, safe="")
