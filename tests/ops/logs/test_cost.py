"""What a log line costs, compared with plain structlog in the same run, and the line of the API's access log."""

import asyncio
import io
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr
from datetime import UTC, datetime
from statistics import median

import pytest
import structlog

from lakehouse import logs
from lakehouse.log_records.levels import LEVELS_IN_FORCE, Rules
from serving.http.access_log import RequestLine, json_writer
from tests.background_logs import configure_test_logs
from tests.figures import report

LINES, ROUNDS = 20_000, 5


@pytest.fixture
def null() -> Iterator[io.TextIOWrapper]:
    """A standard error that keeps nothing."""
    with open(os.devnull, "w", encoding="utf-8") as file, redirect_stderr(file):  # noqa: PTH123 -- a device
        yield file
    configure_test_logs()
    LEVELS_IN_FORCE.apply(Rules())


def lines_per_cpu_second(write: Callable[[int], object]) -> float:
    """Return how many lines one second of CPU time writes."""
    start = time.process_time()
    for number in range(LINES):
        write(number)
    return LINES / (time.process_time() - start)


def ours() -> float:
    """Measure the logger of services."""
    renderer = logs.JsonRenderer(logs.Redactor(["a-secret-of-the-service", "another-secret-of-it"]))
    structlog.configure(
        processors=[logs._drop_below_level, structlog.contextvars.merge_contextvars, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(20), logger_factory=logs.LineWriter(sys.stderr.buffer),
        cache_logger_on_first_use=False,
    )  # fmt: skip
    log = logs.get_logger("ingestion.landing.consumer")
    return lines_per_cpu_second(lambda number: log.info("landed", topic="okr_user_events", rows=number))


def plain() -> float:
    """Measure structlog with its own JSON renderer, as before ADR 42."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars, structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True), structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(20),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )  # fmt: skip
    log = logs.get_logger("ingestion.landing.consumer")
    return lines_per_cpu_second(lambda number: log.info("landed", topic="okr_user_events", rows=number))


def redacted() -> float:
    """Measure lines that have to be redacted."""
    log = logs.get_logger("ingestion.landing.consumer")
    return lines_per_cpu_second(lambda number: log.info("failed", error="postgresql://u:p@db/okr", rows=number))


def access_line_us() -> float:
    """Return the CPU time of a line of the access log in microseconds."""
    target = os.open(os.devnull, os.O_WRONLY)

    async def run() -> float:
        write = json_writer(target)
        start = time.process_time()
        for number in range(LINES):
            write(RequestLine(datetime.now(UTC), "POST", "/predict", 200, 1.234, "0123456789abcdef0123456789abcdef"))
            if number % 8 == 0:
                await asyncio.sleep(0)
        return (time.process_time() - start) / LINES * 1e6

    try:
        return asyncio.run(run())
    finally:
        os.close(target)


def test_a_line_costs_about_as_much_as_with_plain_structlog(null: io.TextIOWrapper) -> None:
    rounds = [(ours(), redacted(), plain(), access_line_us()) for _ in range(ROUNDS)]
    own, slow, reference, access = (median(each) for each in zip(*rounds, strict=True))
    report(
        "Log lines per second of CPU time", ["what", "lines/s"],
        [["logger of services (schema, redaction)", f"{own:,.0f}"],
         ["the same, lines that are redacted", f"{slow:,.0f}"],
         ["plain structlog with its JSON renderer", f"{reference:,.0f}"],
         ["access line of the API", f"{1e6 / access:,.0f}"]],
        f"Median of {ROUNDS} rounds of {LINES:,} lines, to /dev/null.",
    )  # fmt: skip
    assert own > reference * 0.5
    assert access < 1e6 / reference
