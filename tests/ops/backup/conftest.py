"""Stacks of the drills, which are stopped and removed at the end."""

from collections.abc import Iterator

import pytest

from infra.local.stop import clean
from tests.ops.backup.platform import Platform, new_platform
from tests.ops.conftest import RequirePrograms


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory, require_programs: RequirePrograms) -> Iterator[Platform]:
    """A stack of PostgreSQL with an empty warehouse, and no lake: what the failures need."""
    require_programs("restic")
    platform = new_platform(tmp_path_factory.mktemp("warehouse"))
    try:
        platform.okr("up", "--only", "guard")
        platform.okr("migrate")
        yield platform
    finally:
        clean(platform.state, print)


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory, require_programs: RequirePrograms) -> Iterator[Platform]:
    """A stack with Kafka, landing and the state consumer, which has a small organisation."""
    require_programs("restic")
    platform = new_platform(tmp_path_factory.mktemp("platform"))
    try:
        platform.okr("up", "--only", "land,state")
        platform.okr("produce", "simulation", "--scale", "small")
        yield platform
    finally:
        clean(platform.state, print)
