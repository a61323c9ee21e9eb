"""A small real home in a folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from services.small_home import SmallHome, make_small_home


@pytest.fixture
def small_home(tmp_path: Path) -> SmallHome:
    """Twelve pictures, a copy, a broken file and three matched labels, tagged v1."""
    return make_small_home(str(tmp_path / "home"))
