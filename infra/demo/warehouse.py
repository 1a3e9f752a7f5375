"""Queries of the demo, with the analyst's login where that is sufficient, otherwise with the API's role."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from infra.demo.errors import StepFailed
from lakehouse.settings import Settings
from lakehouse.warehouse import connect, read_sql

Offsets = Mapping[str, Mapping[str, int]]


def rows(dsn: str, query: str, values: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """Run `<query>.sql` from this folder and return its rows.

    Raises:
        RetryableError: the warehouse cannot be reached.
        StepFailed: the query fails.
    """
    with (
        connect(dsn, application="okr-demo", autocommit=True) as connection,
        connection.cursor(row_factory=dict_row) as cursor,
    ):
        try:
            return cursor.execute(read_sql("infra.demo", query).encode(), values).fetchall()
        except psycopg.Error as error:
            reason = str(error).strip().splitlines()[0]
            raise StepFailed(
                f"the demo's query {query}.sql failed: {reason}", log="<state>/logs/postgres.log",
                fix="if another version started this stack, run `okr down`, then the same command again.",
            ) from error  # fmt: skip


def covers(published: Offsets, wanted: Mapping[str, int]) -> bool:
    """Return whether a publication contains the first `wanted` messages of each topic; offsets start at 0."""
    return all(sum(published.get(topic, {}).values()) >= count for topic, count in wanted.items())


def wait_published(
    settings: Settings, wanted: Mapping[str, int], limit_s: float, watch: Callable[[], str]
) -> dict[str, Any]:
    """Wait until the current publication covers the wanted messages of each topic; return its row.

    `watch` reports what is running, and raises an error if no run will publish the messages.

    Raises:
        StepFailed: no publication covered them within `limit_s` seconds.
    """
    deadline = time.monotonic() + limit_s
    while True:
        found = rows(settings.require("dsn_serving"), "current_publication")
        if found and covers(found[0]["offsets"], wanted):
            return found[0]
        status = watch()
        if time.monotonic() > deadline:
            raise StepFailed(
                f"no publication covered the landed events within {limit_s:.0f} s; {status}",
                log=settings.state / "logs" / "airflow",
                fix="`okr status` says why publications are on hold; otherwise see the log of the failed task.",
            )
        time.sleep(1)


def wait_for_check_in(settings: Settings, check_in_id: str, limit_s: float, log: Path) -> float:
    """Wait until an analyst can see a check-in in the published mart; return the time, in monotonic seconds.

    Raises:
        StepFailed: it was not published within `limit_s` seconds.
    """
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        if rows(settings.require("dsn_analyst"), "published_check_in", {"check_in_id": check_in_id}):
            return time.monotonic()
        time.sleep(0.5)
    raise StepFailed(
        f"the check-in {check_in_id} was not in marts.fct_check_in after {limit_s:.0f} s", log=log,
        fix="`okr lake verify` shows where it is; Airflow shows the state of okr_etl_dag.",
    )  # fmt: skip
