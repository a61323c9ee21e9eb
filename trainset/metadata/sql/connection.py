"""Where a database is and how it is opened; never shown, only its place is."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

from pydantic import SecretStr

from trainset.errors import InputError
from trainset.model import Frozen

_SECRET_OPTIONS = ("password", "passwd", "pwd", "secret", "token", "key")
_CONNECT_S = "10"


class SqlConnection(Frozen):
    """A database's url, kept from logs, states and reprs.

    ``postgresql://user:password@host:port/database?sslmode=…``, ``sqlite:///folder/file.db``, or
    any url of SQLAlchemy (``mysql+pymysql://…``). What is special in a user name or password is
    percent-encoded.
    """

    url: SecretStr

    @staticmethod
    def of(url: str | SqlConnection) -> SqlConnection:
        made = url if isinstance(url, SqlConnection) else SqlConnection(url=SecretStr(url))
        if not re.match(r"[a-z][a-z0-9+_.-]*:", made.url.get_secret_value()):
            raise InputError(
                "this is not the url of a database; write postgresql://user:password@host/database "
                "or sqlite:///folder/file.db"
            )
        return made

    @property
    def scheme(self) -> str:
        return self.url.get_secret_value().split(":", 1)[0]

    @property
    def place(self) -> str:
        """The url without user, password and options: for people."""
        parts = urlsplit(self.url.get_secret_value())
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))

    def masked(self, text: str) -> str:
        """The text without this connection's secrets."""
        for secret in sorted(self._secrets(), key=len, reverse=True):
            text = text.replace(secret, "***")
        return text

    def _secrets(self) -> set[str]:
        whole = self.url.get_secret_value()
        parts = urlsplit(whole)
        login = parts.netloc.rpartition("@")[0]
        secret = login.partition(":")[2]
        found = {whole, login, secret, unquote(secret)} if login else {secret}
        for name, value in parse_qsl(parts.query):
            if any(word in name.lower() for word in _SECRET_OPTIONS):
                found.add(value)
        return {s for s in found if s}

    def libpq(self) -> str:
        """For PostgreSQL's own library; gives up connecting after ten seconds unless told."""
        parts = urlsplit(self.url.get_secret_value())
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        options = {"connect_timeout": _CONNECT_S, "application_name": "trainset"} | options
        return urlunsplit(("postgresql", *parts[1:3], urlencode(options), ""))

    def sqlite_path(self) -> Path:
        """``sqlite:///rel/file.db`` or ``sqlite:////abs/file.db``, as SQLAlchemy writes them."""
        path = self.url.get_secret_value().partition(":")[2].partition("?")[0]
        return Path(unquote(path.removeprefix("///") if path.startswith("///") else path))
