"""What the fake refuses, each with the HTTP status that a lakeFS server gives it."""

from __future__ import annotations


class Refused(Exception):
    """A request that is answered with ``status`` and a message."""

    status = 500


class Invalid(Refused):
    """Also what lakeFS counts as invalid: nothing to do, a target with staged changes."""

    status = 400


class Unauthorized(Refused):
    status = 401


class Forbidden(Refused):
    status = 403


class Protected(Forbidden):
    """A direct write to a branch that takes merges only."""


class NotFound(Refused):
    status = 404


class Taken(Refused):
    """The name is in use."""

    status = 409


class Conflict(Refused):
    """Both sides changed the same paths."""

    status = 409


class BytesGone(Refused):
    """The entry is there; what its physical address names is not."""

    status = 410


class Exists(Refused):
    """If-None-Match: * on a path that has an entry."""

    status = 412


class NotServed(Refused):
    status = 501
