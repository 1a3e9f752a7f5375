"""A Kafka broker for a single test, which can kill, restart or replace it."""

from pathlib import Path
from types import TracebackType

import pytest

from infra.local.kafka import SERVER_SETTINGS, Kafka
from infra.local.kafka_jars import fetch
from infra.local.stack import prepare_stack
from lakehouse.settings import Settings
from tests.faults.services import OwnService


class OwnBroker(OwnService):
    """One Kafka broker in `folder`, with the platform's topics; its address is the same after a restart."""

    def __init__(self, folder: Path) -> None:
        fetch(print)
        super().__init__(Kafka(prepare_stack(folder)))

    @property
    def bootstrap(self) -> str:
        """Return its address."""
        return self._service.stack.env["OKR_KAFKA_BOOTSTRAP"]

    def start(self) -> None:
        """Start it and wait until it answers and has the topics."""
        with pytest.MonkeyPatch.context() as patch:
            # As for the session's broker: allows session timeouts shorter than 6 s.
            patch.setitem(SERVER_SETTINGS, "group.min.session.timeout.ms", "1000")
            super().start()
        self._service.after_start()

    def at(self, others: Settings, lake: Path) -> Settings:
        """Return the settings `others` with this broker and a lake folder."""
        return others.model_copy(update={"kafka_bootstrap": self.bootstrap, "lake_uri": str(lake), "airflow_url": ""})

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()  # SIGQUIT stops PostgreSQL, but makes Java only print its threads
