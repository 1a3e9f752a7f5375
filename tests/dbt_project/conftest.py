"""A handwritten log made through the contracts, loaded into raw, and dbt run on it as in the pipeline."""

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any
from uuid import UUID

import msgspec
import orjson
import pytest
from psycopg.rows import dict_row

from ingestion.loading.direct import copy_into_raw
from lakehouse.contracts import TOPICS, contracts
from lakehouse.contracts.check_in import CheckInRecorded
from lakehouse.contracts.cycle import CycleDefined
from lakehouse.contracts.key_result import KeyResultDefined
from lakehouse.contracts.objective import ObjectiveDefined
from lakehouse.contracts.organisation import OrganisationDefined
from lakehouse.contracts.team import TeamDefined
from lakehouse.contracts.user import UserDefined
from lakehouse.ids import uuid7_of
from lakehouse.settings import Settings
from lakehouse.warehouse import connect
from tests.databases import NewDatabase
from tests.dbt_process import attempt_dbt, run_dbt
from tests.dbt_project.ending_and_move_stories import imported, tell_all

CYCLES = {
    "past": (date(2025, 10, 1), date(2025, 12, 31)),
    "running": (date(2026, 1, 1), date(2026, 3, 31)),
    "future": (date(2026, 4, 1), date(2026, 6, 30)),
}
PROJECT = Path(__file__).parents[2] / "dbt_project"
PARTITIONS = 4


@dataclass(frozen=True)
class Logged:
    """One row of raw.<topic>."""

    topic: str
    partition: int
    offset: int
    logged_at: datetime
    event_id: UUID
    event_type: str
    subject: str
    occurred_at: datetime
    recorded_at: datetime
    assumed: bool
    data: bytes

    @property
    def row(self) -> tuple[object, ...]:
        """Return the values of the columns of raw."""
        return (
            self.partition, self.offset, self.logged_at, self.event_id, self.event_type, "test", self.subject,
            self.occurred_at, self.recorded_at, self.assumed, self.data.decode(),
        )  # fmt: skip


def midnight(year: int, month: int, day: int) -> datetime:
    """Return the start of a day in UTC."""
    return datetime(year, month, day, tzinfo=UTC)


class Log:
    """Topics as landing writes them: `add` appends an event, `load` copies all events into raw."""

    def __init__(self) -> None:
        self.events: list[Logged] = []
        self._next: dict[tuple[str, int], int] = {}

    def add(
        self,
        data: msgspec.Struct,
        at: datetime,
        *,
        logged_at: datetime | None = None,
        recorded_at: datetime | None = None,
        assumed: bool = False,
        event_id: UUID | None = None,
        **unknown_fields: Any,
    ) -> Logged:
        """Append an event, by default logged one second after it occurred."""
        name, contract = next((n, c) for n, c in contracts().items() if c.model is type(data))
        body = msgspec.json.decode(msgspec.json.encode(data)) | unknown_fields
        subject = str(getattr(data, contract.key))
        logged_at = logged_at or at + timedelta(seconds=1)
        event = Logged(
            topic=contract.topic,
            partition=zlib.crc32(subject.encode()) % PARTITIONS,
            offset=0,
            logged_at=logged_at,
            event_id=event_id or uuid7_of(at, name, subject, str(len(self.events))),
            event_type=name,
            subject=subject,
            occurred_at=at,
            recorded_at=min(recorded_at or (at if assumed else logged_at), logged_at),
            assumed=assumed,
            data=orjson.dumps(body),
        )
        return self._append(event)

    def repeat(self, event: Logged) -> Logged:
        """Append a duplicate of an event, like a producer that missed the broker's acknowledgement."""
        return self._append(replace(event, logged_at=event.logged_at + timedelta(minutes=1)))

    def replace(self, event: Logged, **fields: Any) -> None:
        """Change the position or the content of an event."""
        self.events[self.events.index(event)] = replace(event, **fields)

    def without(self, subject: str, field: str) -> None:
        """Omit a field of `data` from all events of a subject, like a source that relies on the default."""
        for event in [event for event in self.events if event.subject == subject]:
            data = orjson.loads(event.data)
            data.pop(field, None)
            self.replace(event, data=orjson.dumps(data))

    def merge(self, events: Sequence[Logged]) -> None:
        """Append the events of another log."""
        for event in events:
            self._append(event)

    def organisation(self) -> None:
        """Define an organisation with one team, one user and a past, a running and a future cycle."""
        self.add(OrganisationDefined(organisation_id="org", name="Org"), midnight(2025, 1, 1))
        self.add(TeamDefined(team_id="team", organisation_id="org", name="Team"), midnight(2025, 1, 1))
        user = UserDefined(user_id="ada", name="Ada", email="ada@example.org", team_id="team")
        self.add(user, midnight(2025, 1, 1))
        for name, (start, end) in CYCLES.items():
            cycle = CycleDefined(cycle_id=name, organisation_id="org", name=name.upper(), starts_on=start, ends_on=end)
            self.add(cycle, midnight(2025, 1, 1))
            objective = ObjectiveDefined(objective_id=f"objective-{name}", team_id="team", cycle_id=name, title="Grow")
            self.add(objective, midnight(2025, 1, 2))

    def key_result(
        self, key_result_id: str, cycle: str = "running", at: datetime | None = None, **fields: Any
    ) -> Logged:
        """Define a key result from 0 to 100, in the running cycle, before the cycle starts."""
        baseline, target = fields.pop("baseline", 0.0), fields.pop("target", 100.0)
        data = KeyResultDefined(
            key_result_id=key_result_id,
            objective_id=fields.pop("objective_id", f"objective-{cycle}"),
            title=fields.pop("title", key_result_id),
            unit="percent",
            baseline=baseline,
            target=target,
            direction="increase" if target > baseline else "decrease",
            **fields,
        )
        return self.add(data, at or midnight(2025, 1, 3))

    def check_in(self, key_result_id: str, value: float, at: datetime, **fields: Any) -> Logged:
        """Add a check-in; `log` has further arguments of `add`."""
        log = fields.pop("log", {})
        check_in_id = fields.pop("check_in_id", f"{key_result_id}@{at:%m-%dT%H:%M}")
        data = CheckInRecorded(check_in_id=check_in_id, key_result_id=key_result_id, value=value, **fields)
        return self.add(data, at, **log)

    def _append(self, event: Logged) -> Logged:
        place = event.topic, event.partition
        event = replace(event, offset=self._next.get(place, 0))
        self._next[place] = event.offset + 1
        self.events.append(event)
        return event

    def load(self, settings: Settings) -> None:
        """Replace the events in raw by this log."""
        with connect(settings.require("dsn_loader")) as connection:
            for topic in TOPICS:
                connection.execute(f"DELETE FROM raw.{topic}")
        self.append_to_raw(settings, self.events)

    def append_to_raw(self, settings: Settings, events: Sequence[Logged]) -> None:
        """Add events of this log to raw, as loading does."""
        for topic in TOPICS:
            copy_into_raw(settings, topic, (event.row for event in events if event.topic == topic))


class Dbt:
    """dbt in a separate process, on one database."""

    def __init__(self, settings: Settings, target: Path) -> None:
        self.settings = settings
        self.target = target

    def run(self, *arguments: str) -> str:
        """Run dbt and return what it printed; fail the test when it fails."""
        return run_dbt(self.settings, self.target, *arguments)

    def attempt(self, *arguments: str) -> CompletedProcess[str]:
        """Run dbt; it may fail."""
        return attempt_dbt(self.settings, self.target, *arguments)

    def build(self) -> None:
        """Build staging, intermediate and marts as the ETL does, without unit tests and without ml."""
        self.run("build", "--exclude-resource-type=unit_test", "--exclude=path:models/ml")

    def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        """Query the built marts."""
        with connect(self.settings.require("dsn_transform")) as connection:
            connection.execute("SET search_path = marts_build, intermediate, staging")
            with connection.cursor(row_factory=dict_row) as cursor:
                return cursor.execute(query.encode(), values).fetchall()

    def row(self, query: str, *values: Any) -> dict[str, Any]:
        """Query exactly one row."""
        rows = self.rows(query, *values)
        assert len(rows) == 1, rows
        return rows[0]

    def scorecard(self, key_result_id: str) -> list[dict[str, Any]]:
        """Query a key result in each of its cycles, in order of time."""
        query = "select * from mart_okr_scorecard where key_result_id = %s order by opened_at, cycle_id"
        return self.rows(query, key_result_id)

    def statuses(self, organisation: str) -> dict[str, list[str]]:
        """Query the statuses of an organisation's key results, by the last part of their ids."""
        query = "select key_result_id, status from mart_okr_scorecard where key_result_id like %s order by 1, opened_at"
        found: dict[str, list[str]] = {}
        for row in self.rows(query, f"{organisation}-%"):
            found.setdefault(row["key_result_id"].removeprefix(f"{organisation}-"), []).append(row["status"])
        return found

    def marts(self) -> list[str]:
        """Names of the tables built in marts_build."""
        query = "select tablename from pg_tables where schemaname = 'marts_build' order by 1"
        return [row["tablename"] for row in self.rows(query)]


@pytest.fixture(scope="session")
def dbt_target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One target folder for all runs."""
    return tmp_path_factory.mktemp("dbt")


@pytest.fixture(scope="session")
def parsed_project(postgres: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The target folder of `dbt parse`, which reports no warning."""
    target = tmp_path_factory.mktemp("parsed")
    run_dbt(postgres, target, "--warn-error", "parse")
    return target


@pytest.fixture(scope="module")
def dbt(new_database: NewDatabase, dbt_target: Path) -> Iterator[Dbt]:
    """Run dbt on a database for this module alone."""
    with new_database() as settings:
        yield Dbt(settings, dbt_target)


@pytest.fixture(scope="session")
def new_log() -> Callable[[], Log]:
    """Return a function that makes an empty log."""
    return Log


@pytest.fixture(scope="session")
def story_log(tmp_path_factory: pytest.TempPathFactory) -> Log:
    """Return the log of all stories."""
    log = Log()
    tell_all(log)
    imported(log, tmp_path_factory.mktemp("imported"))
    return log


@pytest.fixture(scope="session")
def story_marts(new_database: NewDatabase, dbt_target: Path, story_log: Log) -> Iterator[Dbt]:
    """Build the marts of all stories once for all modules that query them."""
    with new_database() as settings:
        story_log.load(settings)
        dbt = Dbt(settings, dbt_target)
        dbt.run("build", "--exclude-resource-type=unit_test")
        yield dbt
