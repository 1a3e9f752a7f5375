"""The steps of okr_etl_dag are killed with SIGKILL at every point, then cleared as an operator does.

Others reported tasks that are killed after they have done their work: apache/airflow #18917 (the XCom of a try is
lost), #19968; astronomer/astronomer-cosmos #2584, #3001 (a retry of dbt builds nothing, or only a part).
"""

import signal
import threading
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from dags.steps import build_lock
from dags.steps.dbt_docs import fingerprint
from dags.steps.dbt_manifest import PROJECT
from ingestion.contract_validation import encode
from ingestion.landing.consumer import land
from ingestion.producer import EventProducer
from lakehouse.contracts.check_in import CheckInRecorded
from lakehouse.contracts.cycle import CycleDefined
from lakehouse.contracts.key_result import KeyResultDefined
from lakehouse.contracts.objective import ObjectiveDefined
from lakehouse.contracts.organisation import OrganisationDefined
from lakehouse.contracts.team import TeamDefined
from lakehouse.publishing.publication import Publication, current
from lakehouse.settings import Settings
from tests.dags.zygote import FAILED, SKIPPED, Ended, Zygote
from tests.faults.proof import prove

AT = datetime(2026, 2, 2, 12, tzinfo=UTC)
ORDER = ("gate_raw", "load", "dbt", "gate_marts", "publish")
BODIES = {name: f"etl:{name}" for name in ORDER} | {"dbt": "dbt_tasks:build"}
QUERY = "from dbt.adapters.sql.connections import SQLConnectionManager as Dbt\n"
KILLS = {
    "gate_raw: before it stores its report": "import expectations.raw_gate as raw; before(raw, 'save', die)",
    "gate_raw: with its report stored": "import expectations.raw_gate as raw; after(raw, 'save', die)",
    "load: before its COMMIT": "from ingestion.loading import copy; after(copy, '_write_watermarks', die)",
    "load: between two topics": "from ingestion.loading import copy; after(copy, '_load_topic', die)",
    "load: after it loaded all": "import ingestion.loading as loading; after(loading, 'load', die)",
    "dbt: before the schemas are emptied": "from dags.steps import dbt_tasks; before(dbt_tasks, 'prepare_build', die)",
    "dbt: with empty schemas": "from dags.steps import dbt_tasks; after(dbt_tasks, 'prepare_build', die)",
    "dbt: in the middle of the models": QUERY + "before(Dbt, 'add_query', die, times=40)",
    "dbt: with all models built": "from dags.steps import dbt_tasks; before(dbt_tasks, '_report_results', die)",
    "gate_marts: before it stores its report": "import expectations.marts_gate as marts; before(marts, 'save', die)",
    "gate_marts: with its report stored": "import expectations.marts_gate as marts; after(marts, 'save', die)",
    "publish: before it begins": "from lakehouse.publishing import publication; before(publication, 'publish', die)",
    "publish: in its transaction": "from lakehouse.publishing import publication; after(publication, '_record', die)",
    "publish: before its COMMIT": "from lakehouse.publishing import views; before(views, 'commit', die)",
    "publish: after its COMMIT": (
        "from lakehouse.publishing import publication; before(publication, 'drop_old_versions', die)"
    ),
    "publish: after it published": "from lakehouse.publishing import publication; after(publication, 'publish', die)",
    "publish: before it names the model": "from ml import champion; before(champion, 'champion_version', die)",
    "publish: with the model version": (
        "from lakehouse.publishing import publication; after(publication, 'record_model_version', die)"
    ),
}  # fmt: skip


class Run:
    """One DAG run whose steps are tried, cleared and retried; results are stored like XComs."""

    def __init__(self, zygote: Zygote, settings: Settings, run_id: str) -> None:
        self.zygote, self.settings, self.run_id = zygote, settings, run_id
        self.results: dict[str, Any] = {}
        self.tries = dict.fromkeys(ORDER, 0)

    def start(self, step: str, arm: str = "", **order: Any) -> Path:
        """Start a try of a step with the results of the previous steps."""
        self.tries[step] += 1
        given = {"load": "gate_raw", "gate_marts": "dbt", "publish": "gate_marts"}.get(step)
        arguments = [self.results[given]] if given else []
        order |= {"run_id": self.run_id, "try_number": self.tries[step], "arm": arm}
        return self.zygote.start(self.settings, BODIES[step], *arguments, **order)

    def step(self, step: str, arm: str = "", **order: Any) -> Ended:
        """Run a try of a step to its end."""
        ended = self.zygote.ended(self.start(step, arm, **order))
        if ended.status == 0:
            self.results[step] = ended.result
        return ended

    def go_on(self, first: str = "gate_raw", last: str = "publish") -> None:
        """Run the steps from `first` to `last`, which all succeed."""
        for step in ORDER[ORDER.index(first) : ORDER.index(last) + 1]:
            ended = self.step(step)
            assert ended.status == 0, f"{step} of {self.run_id}: {ended.log}"


@pytest.fixture
def etl(pipeline: Settings, dbt_target: Path, tmp_path: Path) -> Settings:
    """An empty pipeline with all settings that the steps need."""
    return pipeline.model_copy(update={"dbt_target_dir": dbt_target, "sites_dir": tmp_path, "state": dbt_target})


class Sender:
    """Sends and lands an organisation of one key result, then check-ins."""

    def __init__(self, settings: Settings, producer: EventProducer) -> None:
        self._settings, self._producer = settings, producer
        self.sent = self.check_ins = 0
        self._define()

    def _define(self) -> None:
        start, end = date(2026, 1, 1), date(2026, 3, 31)
        self._send(OrganisationDefined(organisation_id="org", name="Org"))
        self._send(TeamDefined(team_id="team", organisation_id="org", name="Team"))
        self._send(CycleDefined(cycle_id="q1", organisation_id="org", name="Q1", starts_on=start, ends_on=end))
        self._send(ObjectiveDefined(objective_id="o", cycle_id="q1", team_id="team", title="O"))
        self._send(
            KeyResultDefined(
                key_result_id="kr", objective_id="o", title="K", unit="x", baseline=0.0, target=100.0,
                direction="increase",
            )
        )  # fmt: skip

    def _send(self, data: msgspec.Struct) -> None:
        self._producer.send(encode(data, at=AT + timedelta(minutes=self.sent), source="test"))
        self.sent += 1

    def check_in(self) -> None:
        """Send one check-in and land it."""
        self.check_ins += 1
        self._send(CheckInRecorded(check_in_id=f"c-{self.check_ins}", key_result_id="kr", value=float(self.check_ins)))
        self._producer.flush()
        land(self._settings, threading.Event(), drain=True)


@pytest.fixture
def sender(etl: Settings, producer: EventProducer) -> Sender:
    """Return a sender for the pipeline of the test."""
    return Sender(etl, producer)


def published(settings: Settings) -> Publication:
    found = current(settings.require("dsn_serving"))
    assert found is not None
    return found


def check_ins(settings: Settings) -> int:
    with psycopg.connect(settings.require("dsn_analyst")) as connection:
        (rows,) = connection.execute("SELECT count(*) FROM marts.fct_check_in").fetchone() or (0,)
    return int(rows)


def publications(settings: Settings) -> list[str]:
    with psycopg.connect(settings.require("dsn_serving")) as connection:
        return [run for (run,) in connection.execute("SELECT dbt_run_id FROM ops.publication ORDER BY publication_id")]


@pytest.mark.timeout(600)
def test_each_step_killed_at_each_point_and_cleared_publishes_everything_once(
    zygote: Zygote, etl: Settings, sender: Sender
) -> None:
    """Run after run, each with one more check-in and one more kill."""
    for number, (point, arm) in enumerate(KILLS.items(), 1):
        sender.check_in()
        step, run = point.partition(":")[0], Run(zygote, etl, f"run-{number}")
        if step != ORDER[0]:
            run.go_on(last=ORDER[ORDER.index(step) - 1])
        killed = run.step(step, arm)
        assert killed.status == -signal.SIGKILL, f"not killed at {point}: {killed.log}"
        run.go_on(first=step)
        assert check_ins(etl) == sender.check_ins, point
        assert published(etl).dbt_run_id == run.results["dbt"], point
        assert len(publications(etl)) == number, f"{point}: published twice, or not at all"
    prove(etl, fault="each step of okr_etl_dag killed at each of its points and cleared", sent=sender.sent)


@pytest.mark.timeout(300)
def test_every_step_of_a_published_run_can_be_cleared_alone_or_with_its_downstream_steps(
    zygote: Zygote, etl: Settings, sender: Sender
) -> None:
    sender.check_in()
    run = Run(zygote, etl, "run")
    run.go_on()
    for step in ("load", "gate_marts", "publish"):
        run.go_on(first=step, last=step)
    run.go_on(first="gate_marts")
    assert publications(etl) == ["run"]
    run.go_on(first="dbt")  # a new build: an operator who clears dbt wants the present results of the models
    assert publications(etl) == ["run", "run~2"]
    assert run.step("gate_raw").status == SKIPPED
    assert check_ins(etl) == 1


@pytest.mark.timeout(300)
def test_nothing_runs_after_a_publication_if_the_docs_site_is_current(
    zygote: Zygote, etl: Settings, sender: Sender
) -> None:
    sender.check_in()
    run = Run(zygote, etl, "run")
    run.go_on()
    assert run.results["publish"] == published(etl).publication_id  # there is no site yet, and a task creates it
    site = etl.sites_dir / "catalog"
    site.mkdir(parents=True)
    (site / "project.sha256").write_text(fingerprint(PROJECT), encoding="ascii")
    run.go_on(first="publish")
    assert run.results["publish"] == {"left_out": ["document"]}


@pytest.mark.timeout(300)
def test_rows_loaded_by_a_run_that_failed_in_dbt_are_published_by_the_next_run(
    zygote: Zygote, etl: Settings, sender: Sender
) -> None:
    sender.check_in()
    Run(zygote, etl, "run-1").go_on()
    sender.check_in()
    failed = Run(zygote, etl, "run-2")
    failed.go_on(last="load")
    assert (
        failed.step("dbt", "from dags.steps import dbt_tasks; dbt_tasks.PROFILE.target_name = 'none'").status == FAILED
    )
    Run(zygote, etl, "run-3").go_on()  # no rows are pending in the lake any more
    assert check_ins(etl) == 2
    assert Run(zygote, etl, "run-4").step("gate_raw").status == SKIPPED


@pytest.mark.timeout(300)
def test_a_build_that_airflow_considers_dead_blocks_the_next_one_until_it_ends(
    zygote: Zygote, etl: Settings, sender: Sender
) -> None:
    sender.check_in()
    run = Run(zygote, etl, "run")
    run.go_on(last="load")
    impatient = "from dags.steps import build_lock; build_lock.MAX_WAIT_S = 1.0"
    with build_lock.hold_build_lock(etl.require("dsn_transform")):
        refused = run.step("dbt", impatient)
    assert refused.status == FAILED
    assert "Another build of the marts is still running" in refused.log
    run.go_on(first="dbt")
    assert publications(etl) == ["run~2"]
