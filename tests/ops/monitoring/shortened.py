"""Prometheus with the real rules, but with durations in seconds instead of minutes and days."""

import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from infra.prometheus.configuration import RULES, Monitoring, configuration
from infra.prometheus.programs import require

FACTOR = 240
SHORTEST_RANGE_S, SHORTEST_FOR_S = 5, 1  # a rate needs some scrapes, one per second
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_RANGE = re.compile(r"\[(\d+)([smhd])\]")
_FOR = re.compile(r"^(\s+for: )(\d+)([smhd])$", re.MULTILINE)
# Limits in seconds or events that a test would have to wait for or send.
SMALLER = {"> 600": "> 6", "> 10000": "> 50"}


def shortened(text: str) -> str:
    """Return rules with shortened ranges and pending times, and the limits above."""
    text = _RANGE.sub(lambda found: f"[{_short(found[1], found[2], SHORTEST_RANGE_S)}s]", text)
    text = _FOR.sub(lambda found: f"{found[1]}{_short(found[2], found[3], SHORTEST_FOR_S)}s", text)
    for limit, smaller in SMALLER.items():
        text = re.sub(rf"{limit}\b", smaller, text)
    return text


def _short(number: str, unit: str, shortest: int) -> int:
    return max(shortest, int(number) * SECONDS[unit] // FACTOR)


@dataclass(frozen=True)
class Server:
    """A running Prometheus."""

    address: str

    def get(self, path: str, **parameters: str) -> Any:
        """Return the `data` of an answer of its API."""
        answer = httpx.get(f"http://{self.address}/api/v1/{path}", params=parameters, timeout=10, trust_env=False)
        return answer.raise_for_status().json()["data"]

    def firing(self) -> dict[str, str]:
        """Return the summary of one alert of each name that fires now."""
        alerts = self.get("alerts")["alerts"]
        return {
            each["labels"]["alertname"]: each["annotations"]["summary"] for each in alerts if each["state"] == "firing"
        }


@contextmanager
def prometheus(folder: Path, monitoring: Monitoring, address: str) -> Iterator[Server]:
    """Run Prometheus at a loopback address, in a folder of its own."""
    file = folder / "prometheus.yml"
    file.write_text(configuration(monitoring))
    command = [
        require("prometheus"), f"--config.file={file}", f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
    ]  # fmt: skip
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 30
        while not _is_ready(address):
            assert process.poll() is None, (folder / "prometheus.log").read_text()
            assert time.monotonic() < deadline, (folder / "prometheus.log").read_text()
            time.sleep(0.1)
        yield Server(address)
    finally:
        process.terminate()
        process.wait(20)


def shortened_rules(folder: Path, extra: str = "") -> str:
    """Write all rules, shortened, and the text of another file of rules. Return the pattern of their paths."""
    folder.mkdir()
    for file in RULES.glob("*.yml"):
        (folder / file.name).write_text(shortened(file.read_text(encoding="utf-8")))
    if extra:
        (folder / "extra.yml").write_text(extra)
    return str(folder / "*.yml")


def _is_ready(address: str) -> bool:
    try:
        return httpx.get(f"http://{address}/-/ready", timeout=2, trust_env=False).is_success
    except httpx.TransportError:
        return False
