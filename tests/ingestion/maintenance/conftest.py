"""What the maintenance tests share."""

from pathlib import Path

import pytest

from lakehouse.settings import Settings


@pytest.fixture
def lake(fresh_database: Settings, tmp_path: Path) -> Settings:
    """A database, and a lake without tables."""
    return fresh_database.model_copy(update={"lake_uri": str(tmp_path / "a lake [1]")})
