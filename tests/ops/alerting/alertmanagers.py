"""Debian's Alertmanager with our configuration, and the alerts that Prometheus would send to it."""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from infra.alertmanager.configuration import Timing, write
from infra.alertmanager.receivers import Receivers
from infra.local.ports import choose
from tests.polling import until

QUICK = Timing(record_wait="0s", record_interval="2s")
PROGRAM = "prometheus-alertmanager"


@dataclass(frozen=True)
class Alertmanager:
    """A running Alertmanager and a client of its API."""

    client: httpx.Client

    @property
    def url(self) -> str:
        return str(self.client.base_url)

    def send(self, *labels: dict[str, str], ends_at: datetime | None = None, starts_at: datetime | None = None) -> None:
        """Send alerts as Prometheus does, which renews them before they expire."""
        now = datetime.now(UTC)
        body = [
            {
                "labels": each,
                "annotations": {"summary": f"{each['alertname']} fires.", "runbook": "docs/runbooks/x.md"},
                "startsAt": (starts_at or now).isoformat(),
                "endsAt": (ends_at or now + timedelta(minutes=4)).isoformat(),
                "generatorURL": "http://prometheus/graph",
            }
            for each in labels
        ]
        self.client.post("/api/v2/alerts", json=body).raise_for_status()

    def alerts(self) -> list[dict[str, Any]]:
        """Return the alerts with their states."""
        found: list[dict[str, Any]] = self.client.get("/api/v2/alerts").raise_for_status().json()
        return found

    def metric(self, start: str) -> float:
        """Return the sum of the samples whose line starts so."""
        lines = self.client.get("/metrics").text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(start))


@contextmanager
def alertmanager(receivers: Receivers, folder: Path, timing: Timing = QUICK) -> Iterator[Alertmanager]:
    """Run Alertmanager in a folder until the block ends."""
    write(receivers, folder / "alertmanager.yml", timing)
    port = choose(set())
    command: Sequence[str] = (
        PROGRAM, f"--config.file={folder}/alertmanager.yml", f"--storage.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=",
    )  # fmt: skip
    with (folder / "alertmanager.log").open("ab") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
                until(lambda: _is_ready(client), "Alertmanager is ready", 30)
                yield Alertmanager(client)
        finally:
            process.terminate()
            process.wait(20)


def _is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/-/ready").status_code == httpx.codes.OK
    except httpx.TransportError:
        return False
