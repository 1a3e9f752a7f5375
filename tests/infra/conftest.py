from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local.stop import clean

DEEP = "a folder with spaces/" + "deep" * 40  # far beyond the 107 bytes of a UNIX socket's path


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """A deep state folder with spaces, whose stack is stopped and removed at the end."""
    state = tmp_path / DEEP
    yield state
    clean(state, print)
