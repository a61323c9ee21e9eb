"""What all sections of the spec share: names, durations, shares, sizes and their base model."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _duration(value: Any) -> Any:
    """``10m``, ``90s``, ``2h``, ``1d`` or seconds."""
    if isinstance(value, str) and (m := re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhd])\s*", value)):
        return timedelta(seconds=float(m[1]) * _UNITS[m[2]])
    if isinstance(value, int | float):
        return timedelta(seconds=value)
    return value


def _share(value: Any) -> Any:
    """``1%`` or a number from 0 to 1."""
    if isinstance(value, str) and (m := re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*%\s*", value)):
        return float(m[1]) / 100
    return value


def _bytes(value: Any) -> Any:
    """``64MB`` (10**6), ``1.5GiB`` (2**30), or a number of bytes."""
    if isinstance(value, str) and (
        m := re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kKMGT]?)(i?)B?\s*", value)
    ):
        step = 1024 if m[3] else 1000
        return int(float(m[1]) * step ** " KMGT".index(m[2].upper() or " "))
    return value


Bytes = Annotated[int, BeforeValidator(_bytes), Field(ge=0)]


def _words(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Words = Annotated[tuple[str, ...], BeforeValidator(_words)]  # one word, or a list of them
Duration = Annotated[timedelta, BeforeValidator(_duration)]
Share = Annotated[float, BeforeValidator(_share), Field(ge=0, le=1)]


class SpecModel(BaseModel):
    """A section of the spec; a word that it does not know is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)
