"""An application that asks Alertmanager. Tests in tests/ops/alerting ask the real one."""

import threading
from collections.abc import Iterator

import pytest

from lakehouse.settings import Settings
from tests.serving.alerts.fake_alertmanager import RUNBOOKS, FakeAlertmanager
from tests.serving.live_server import Api, serving


@pytest.fixture(scope="module")
def alertmanager() -> Iterator[FakeAlertmanager]:
    """A server that answers like Alertmanager's API."""
    manager = FakeAlertmanager()
    thread = threading.Thread(target=manager.server.serve_forever)
    thread.start()
    yield manager
    manager.server.shutdown()
    thread.join()
    manager.server.server_close()


@pytest.fixture(scope="module")
def asking(
    published: Settings, redis_server: Settings, kafka: Settings, alertmanager: FakeAlertmanager
) -> Iterator[Api]:
    """An application that asks Alertmanager, with an administrator logged in."""
    with serving(published.model_copy(update={"alertmanager_url": alertmanager.url, "runbooks_url": RUNBOOKS})) as api:
        api.log_in("admin")
        yield api
