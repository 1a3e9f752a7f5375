"""What the tests of slow clients and slow bodies share."""

from collections.abc import Iterator

import pytest

from tests.serving.limits.guarded_server import Server, guarded_server


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with guarded_server() as running:
        yield running
