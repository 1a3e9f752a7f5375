"""1,000 publications with four concurrent readers: no errors, no mixed results, and the additional waiting time.

Two analysts read in loops with joins over several marts, one of them with prepared statements in transactions; the API
reads through its pool; one analyst keeps transactions and cursors open for seconds.
"""

import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest

from lakehouse.publishing import marts_build, publication
from lakehouse.settings import Settings
from lakehouse.warehouse import connect
from serving.publication_reader import PublishedReader, Warehouse
from tests.lakehouse.marts import load_one_event
from tests.publications import passed

PUBLICATIONS = 1_000
QUIET_S = 8.0
ROWS = 200
LONG_S = 1.5  # duration of the long analyst transaction
PAUSE_S = 3.0  # pause between two of them
PAUSE_BETWEEN_S = 0.002  # between two statements, so that readers leave CPU time to the publisher
ADDED_P99_LIMIT_S = 0.050
CATALOGUE_LIMIT_BYTES = 200 << 20

ONE = "SELECT count(*), min(number), max(number) FROM marts.score"
JOINED = (
    "SELECT count(*), least(min(s.number), min(d.number), min(t.number), min(p.publication_id)), "
    "greatest(max(s.number), max(d.number), max(t.number), max(p.publication_id)) "
    "FROM marts.score AS s JOIN marts.daily AS d USING (id) JOIN marts.team AS t USING (id) "
    "CROSS JOIN marts.publication AS p"
)
TABLES = ("marts_build.score", "marts_build.daily", "marts_build.team", "ml_build.features")


def fill(connection: psycopg.Connection[Any], number: int) -> None:
    """Build small marts whose rows contain the number of their publication."""
    for table in TABLES:
        connection.execute(
            f"CREATE TABLE {table} AS SELECT id, {number} AS number FROM generate_series(1, {ROWS}) AS id"
        )
        connection.execute(f"COMMENT ON TABLE {table} IS 'Grain: an id.'; ANALYZE {table}")


def publish_many(dsn: str, count: int) -> Iterator[float]:
    """Build and publish repeatedly; yield the seconds of each `publish`."""
    with connect(dsn, autocommit=True) as connection:
        connection.execute("SET synchronous_commit = off")
        row = connection.execute("SELECT coalesce(max(publication_id), 0) FROM ops.publication").fetchone()
        assert row is not None
        for number in range(int(str(row[0])) + 1, int(str(row[0])) + 1 + count):
            run_id = f"run-{number}"
            marts_build.prepare_build(dsn, run_id)
            fill(connection, number)
            started = time.perf_counter()
            publication.publish(dsn, gate=passed(run_id), model_version=None)
            yield time.perf_counter() - started


@dataclass
class Seen:
    """The results of all readers."""

    seconds: list[float] = field(default_factory=list)
    torn: list[Any] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    publications: set[int] = field(default_factory=set)

    def check(self, *answers: tuple[Any, ...], same: bool = False) -> None:
        """Check that all rows exist and belong to one publication; with `same`, to the same one in all results."""
        for rows, least, most in answers:
            if rows != ROWS or least != most:
                self.torn.append(answers)
            self.publications.add(least)
        if same and len({least for _, least, _ in answers}) != 1:
            self.torn.append(answers)


Ask = Callable[[str], tuple[Any, ...]]


def asking(connection: psycopg.Connection[Any], seen: Seen, *, prepared: bool) -> Ask:
    """Return a function that runs a query and records its seconds."""

    def ask(query: str) -> tuple[Any, ...]:
        started = time.perf_counter()
        row = connection.execute(query.encode(), prepare=prepared).fetchone()
        seen.seconds.append(time.perf_counter() - started)
        assert row is not None
        time.sleep(PAUSE_BETWEEN_S)
        return tuple(row)

    return ask


def plain(settings: Settings, seen: Seen, stop: threading.Event) -> None:
    """Read as an analyst with psql does: a statement, a transaction."""
    with connect(settings.require("dsn_analyst"), autocommit=True) as connection:
        ask = asking(connection, seen, prepared=False)
        while not stop.is_set():
            seen.check(ask(JOINED))
            seen.check(ask(ONE))


def prepared(settings: Settings, seen: Seen, stop: threading.Event) -> None:
    """Read as a BI tool does: prepared statements, transactions of both isolation levels."""
    with connect(settings.require("dsn_analyst")) as connection:
        ask = asking(connection, seen, prepared=True)
        while not stop.is_set():
            connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
            seen.check(ask(JOINED), ask(ONE), ask(JOINED))
            connection.rollback()
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            seen.check(ask(ONE), ask(JOINED), ask(ONE), same=True)
            connection.rollback()


def api(settings: Settings, seen: Seen, stop: threading.Event) -> None:
    """Read as the API does: two statements for one response."""

    def work(reader: PublishedReader) -> list[Any]:
        ask = asking(reader.connection, seen, prepared=False)
        return [ask(ONE), ask(JOINED)]

    warehouse = Warehouse(settings.require("dsn_serving"))
    warehouse.open()
    try:
        while not stop.is_set():
            found = warehouse.read(work)
            seen.check(
                *found.value, (ROWS, found.publication.publication_id, found.publication.publication_id), same=True
            )
    finally:
        warehouse.close()


def patient(settings: Settings, seen: Seen, stop: threading.Event) -> None:
    """Keep a transaction with a half-read cursor open for seconds; its end must match its beginning."""
    with connect(settings.require("dsn_analyst")) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        ask = asking(connection, seen, prepared=False)
        while not stop.is_set():
            with connection.transaction(), connection.cursor("half") as cursor:
                cursor.execute("SELECT number FROM marts.daily")
                first = cursor.fetchmany(ROWS // 2)
                before = ask(JOINED)
                stop.wait(LONG_S)
                numbers = [number for (number,) in (*first, *cursor.fetchall())]
                seen.check(before, ask(JOINED), (len(numbers), min(numbers), max(numbers)), same=True)
            stop.wait(PAUSE_S)


def read_while(settings: Settings, during: Callable[[], None]) -> Seen:
    """Run the four readers while the block runs."""
    seen, stop = Seen(), threading.Event()

    def guarded(read: Callable[[Settings, Seen, threading.Event], None]) -> None:
        while not stop.is_set():
            try:
                read(settings, seen, stop)
            except Exception as error:
                seen.errors.append(f"{read.__name__}: {type(error).__name__}: {error}")

    readers = [threading.Thread(target=guarded, args=(read,)) for read in (plain, prepared, api, patient)]
    for reader in readers:
        reader.start()
    try:
        during()
    finally:
        stop.set()
        for reader in readers:
            reader.join(60)
    return seen


def catalogue(dsn: str) -> tuple[int, int]:
    """Return the size of the system catalogue of this database, and the number of tables and views in it."""
    with connect(dsn) as connection:
        row = connection.execute(
            "SELECT sum(pg_total_relation_size(oid))::bigint, (SELECT count(*) FROM pg_class) FROM pg_class "
            "WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind = 'r'"
        ).fetchone()
    assert row is not None
    return int(str(row[0])), int(str(row[1]))


def quantiles(seconds: list[float]) -> tuple[float, float, float]:
    """Return median, 99th percentile and the longest."""
    cuts = statistics.quantiles(seconds, n=100)
    return cuts[49], cuts[98], max(seconds)


def line(name: str, seconds: list[float]) -> str:
    p50, p99, longest = (1000 * one for one in quantiles(seconds))
    return f"{name:<34}{len(seconds):>8} p50 {p50:7.1f} ms   p99 {p99:7.1f} ms   longest {longest:7.1f} ms"


@pytest.mark.timeout(600)
def test_a_thousand_publications_under_four_readers(fresh_database: Settings) -> None:
    load_one_event(fresh_database)
    dsn = fresh_database.require("dsn_transform")
    with connect(dsn) as connection:
        connection.execute(
            "CREATE TABLE intermediate.int_data_as_of AS SELECT max(recorded_at) AS data_as_of FROM raw.okr_user_events"
        )
    list(publish_many(dsn, 4))
    quiet = read_while(fresh_database, lambda: time.sleep(QUIET_S))
    before, durations, started = catalogue(dsn), list[float](), time.perf_counter()

    def publish() -> None:
        # In its own process: a thread would compete with the readers for the interpreter.
        command = [sys.executable, "-m", "tests.benchmarks.bench_publication", dsn, str(PUBLICATIONS)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        durations.extend(json.loads(done.stdout.splitlines()[-1]))

    busy = read_while(fresh_database, publish)
    took = time.perf_counter() - started
    after = catalogue(dsn)
    added = quantiles(busy.seconds)[1] - quantiles(quiet.seconds)[1]
    sizes = " -> ".join(f"{size / 2**20:.1f} MB, {relations} relations" for size, relations in (before, after))
    print(
        "",
        f"{PUBLICATIONS} publications in {took:.0f} s under 4 readers, who saw {len(busy.publications)} of them:",
        line("statement, nothing published", quiet.seconds),
        line("statement, publishing", busy.seconds),
        line("publish", durations),
        f"added at p99: {1000 * added:.1f} ms; errors {len(busy.errors)}; torn answers {len(busy.torn)}",
        f"catalogue: {sizes}",
        sep="\n",
    )
    assert not busy.errors, busy.errors[:5]
    assert not busy.torn, busy.torn[:5]
    assert len(busy.publications) > PUBLICATIONS / 20
    assert added < ADDED_P99_LIMIT_S
    assert after[1] - before[1] < 100
    assert after[0] < CATALOGUE_LIMIT_BYTES


if __name__ == "__main__":
    print(json.dumps(list(publish_many(sys.argv[1], int(sys.argv[2])))))
