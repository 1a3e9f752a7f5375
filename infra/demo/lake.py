"""Wait until events have landed in the lake, according to the ledger of `okr lake verify`."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from infra.demo.errors import StepFailed
from infra.demo.okr_command import okr

FIX = "read docs/runbooks/lake-verify.md; `okr status` shows whether the landing worker is running"


def ledger(log: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """Return the counts of every topic: produced, landed, rejected, loaded, waiting, distinct, duplicates.

    Raises:
        StepFailed: the ledger does not add up, because an event is missing or duplicated.
    """
    document: dict[str, Any] = json.loads(okr("lake", "verify", "--json", log=log, limit_s=120, fix=FIX, say=say))
    return document


def wait_landed(
    topics: tuple[str, ...], label: str, log: Path, limit_s: float, say: Callable[[str], None]
) -> dict[str, int]:
    """Wait until all messages that these topics contain now have landed; return their number by topic.

    `label` names the messages in the progress line, for example "user events".

    Raises:
        StepFailed: they have not landed within `limit_s` seconds, or the ledger does not add up.
    """
    deadline = time.monotonic() + limit_s
    produced: dict[str, int] = {}
    while True:
        try:
            topics_now = ledger(log, say)["topics"]
        except StepFailed:
            if time.monotonic() > deadline:
                raise
            time.sleep(1)  # `okr lake verify` fails until the first event has landed
            continue
        produced = produced or {topic: topics_now[topic]["produced"] for topic in topics}
        landed = {topic: topics_now[topic]["landed"] for topic in topics}
        say(f"{sum(landed.values()):,} of {sum(produced.values()):,} {label} landed")
        if all(landed[topic] >= produced[topic] for topic in topics):
            return produced
        if time.monotonic() > deadline:
            raise StepFailed(f"only {landed} of {produced} landed within {limit_s:.0f} s", log=log, fix=FIX)
        time.sleep(1)
