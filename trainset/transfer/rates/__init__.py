"""Price cards: dated data, never code. ``load_rates`` reads the newest of ours, or one of yours."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import Field, ValidationError

from trainset.errors import SpecError
from trainset.model import Frozen

NEWEST = "backblaze-2026-09"

Money = Annotated[Decimal, Field(ge=0)]


class StorageRate(Frozen):
    """``per_tb_month``: of 10**12 bytes for ``month_days`` days; ``free_gb``: of the account."""

    per_tb_month: Money
    month_days: int = Field(default=30, ge=1)
    free_gb: Money = Decimal(0)


class EgressRate(Frozen):
    """Reading out of the store: free up to a multiple of what is stored, then by GB (10**9)."""

    free_times_stored: Money = Decimal(0)
    per_gb: Money = Decimal(0)


class RequestRate(Frozen):
    """One class of calls."""

    per_10000: Money = Decimal(0)
    free_a_day: int = Field(default=0, ge=0)


class RequestRates(Frozen):
    """A: PUT, UploadPart, Create, Complete. B: GET, HEAD. C: List, Copy."""

    A: RequestRate = RequestRate()
    B: RequestRate = RequestRate()
    C: RequestRate = RequestRate()


class SourceRate(Frozen):
    """What the buckets that media come from charge for being read; folders charge nothing."""

    egress_per_gb: Money = Decimal(0)
    reads_per_10000: Money = Decimal(0)
    lists_per_10000: Money = Decimal(0)


class RateCard(Frozen):
    """What a store charged on ``date``; ``note`` names who says so, ``currency`` its money."""

    name: str
    date: date
    note: str
    currency: str = "USD"
    storage: StorageRate
    egress: EgressRate = EgressRate()
    requests: RequestRates = RequestRates()
    source: SourceRate = SourceRate()


def load_rates(path: Path | None = None) -> RateCard:
    """The card in a file, or one that trainset ships (``backblaze-2025``); None: the newest.

    Raises:
        SpecError: names the file, the field and what is wrong with it.
    """
    ours = files(__package__) / f"{path or NEWEST}.yaml"
    place = ours if path is None or (len(path.parts) == 1 and ours.is_file()) else path
    try:
        return RateCard.model_validate(yaml.safe_load(place.read_text(encoding="utf-8")))
    except FileNotFoundError as err:
        raise SpecError(
            f"{path}: there is no such file; give --rates a card of prices, or one of "
            f"{', '.join(shipped())}"
        ) from err
    except UnicodeDecodeError as err:
        raise SpecError(f"{path}: this is no text file; give --rates a card in YAML") from err
    except yaml.YAMLError as err:
        raise SpecError(f"{path}: this is not YAML: {err}; mend that line") from err
    except ValidationError as err:
        first = err.errors()[0]
        where = ".".join(map(str, first["loc"])) or "(top)"
        raise SpecError(
            f"{path}: {where}: {first['msg']}; "
            f"write it as trainset/transfer/rates/{NEWEST}.yaml does"
        ) from None


def shipped() -> list[str]:
    """Names of the cards that trainset brings, the oldest first."""
    names = [one.name for one in files(__package__).iterdir()]
    return sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml"))
