"""The steps of the demo, in order.

They start the stack, send a history, land and publish it, train a model, call the API as an application would, post
check-ins, and verify the lake.
"""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from infra.demo import lake, source, warehouse
from infra.demo.airflow_client import Airflow
from infra.demo.api_client import App
from infra.demo.dbt_results import dbt_results
from infra.demo.errors import StepFailed
from infra.demo.etl_watch import Watch
from infra.demo.okr_command import okr
from infra.demo.peak_memory import PeakMemory
from infra.demo.progress import Progress, Step
from infra.demo.source import Source
from infra.local.stack import open_stack
from lakehouse.errors import TOO_LITTLE_DATA, PermanentError, RetryableError
from lakehouse.settings import Settings, load_settings

LIVE_CHECK_INS = 5
LIVE_INTERVAL_S = 6.0
MAX_FORECASTS = 200
CHAMPION_LIMIT_S = 60.0
# Other topics get new events all the time, so no publication contains all of them.
USER_EVENT_TOPICS = ("okr_user_events",)


@dataclass
class DemoResult:
    """The results of the steps, which the summary shows."""

    state: Path
    source: Source
    log: Path
    produced: dict[str, Any] = field(default_factory=dict)
    publication: dict[str, Any] = field(default_factory=dict)
    models: dict[str, Any] = field(default_factory=dict)
    predictions: list[dict[str, Any]] = field(default_factory=list)
    titles: dict[str, str] = field(default_factory=dict)
    has_open_key_result: bool = True
    is_champion_expected: bool = True
    no_backtest_reason: str = ""
    latencies_s: list[float] = field(default_factory=list)
    ledger: dict[str, Any] = field(default_factory=dict)
    gates: list[dict[str, Any]] = field(default_factory=list)
    dbt: dict[str, int] = field(default_factory=dict)
    peak_bytes: int = 0


def run(state: Path, history: Source, console: Console) -> tuple[DemoResult, Progress]:
    """Run every step on the stack of a state folder, and stop at the first failure.

    Raises:
        OkrError: a step failed; the message names the log and the likely fix.
    """
    progress = Progress(console)
    result = DemoResult(state, history, _log(state))
    if history.data:
        with progress.step("read the files") as step:
            _read_files(result, step)
    _move_other_organisation_away(state, history, console)
    _log(state)
    with progress.step("start the stack") as step:
        okr("up", log=result.log, limit_s=600, fix="run `okr up` to see the whole message", say=step.say)
    stack = open_stack(state)
    if stack is None:
        raise PermanentError(f"`okr up` did not create stack.env in {state}. See {result.log}.")
    settings = load_settings(state)
    with PeakMemory(stack) as memory:
        _send_history(result, settings, progress)
        with Airflow(settings) as airflow:
            _publish(result, settings, airflow, progress)
            _train(result, airflow, progress)
            with App(settings, state / "logs" / "api.log") as app:
                _use_api(result, settings, airflow, app, progress)
        _verify(result, settings, progress)
    result.peak_bytes = memory.peak_bytes
    return result, progress


def _log(state: Path) -> Path:
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    (state / "logs").mkdir(exist_ok=True, mode=0o700)
    return state / "logs" / "demo.log"


def _move_other_organisation_away(state: Path, history: Source, console: Console) -> None:
    record = source.read_record(state)
    if record is None or record["source"] == history.identity:
        return
    okr("down", log=state / "logs" / "demo.log", limit_s=120, fix="run `okr down` to see the whole message")
    moved = source.move_away(state, record)
    console.print(
        f"{state} contained the stack of another organisation ({record['source']}). "
        f"It was stopped and moved to {moved}.",
        soft_wrap=True,
    )
    console.print(f"`OKR_STATE='{moved}' make up` starts it again.", soft_wrap=True)


def _read_files(result: DemoResult, step: Step) -> None:
    """Validate the source's files before the stack starts."""
    arguments = [*result.source.produce_arguments(), "--check"]
    fix = "the message names the file, the line and what it expects (docs/data-format.md)"
    rows = json.loads(okr(*arguments, log=result.log, limit_s=300, fix=fix))["rows"]
    step.say(", ".join(f"{file}: {each['used']:,} of {each['read']:,} rows are usable" for file, each in rows.items()))


def _send_history(result: DemoResult, settings: Settings, progress: Progress) -> None:
    record = source.read_record(result.state)
    was_sent = record is not None and record["produced"] and record["fingerprint"] == source.fingerprint(result.source)
    with progress.step("send the organisation's history through Kafka") as step:
        if was_sent and not result.source.data:
            result.produced = record["produced"] if record else {}
            step.say("already sent by an earlier run")
        else:
            source.write_record(result.state, result.source, None)
            fix = (
                "the message says which file and line to fix" if result.source.data else "`okr status` shows the broker"
            )
            arguments = result.source.produce_arguments()
            limit_s = 300 * result.source.time_limit_factor
            result.produced = json.loads(okr(*arguments, log=result.log, limit_s=limit_s, fix=fix, say=step.say))
            if result.produced.get("spooled"):
                raise RetryableError(
                    f"The broker did not accept the events. They are spooled in {settings.spool_dir}; see `okr status`."
                )
            source.write_record(result.state, result.source, result.produced)
            step.say(_describe_sent(result.produced))
    if not result.source.data:
        with progress.step("send live events"):
            fix = "`okr status` shows the broker"
            okr("produce", "live", "--seconds", "3", "--rate", "20", "--scale", result.source.scale, log=result.log,
                limit_s=60, fix=fix)  # fmt: skip


def _describe_sent(produced: dict[str, Any]) -> str:
    topics = produced.get("topics")
    if topics:
        return f"{sum(each['produced'] for each in topics.values()):,} messages"
    rejected = sum(produced.get("rejected_by_reason", {}).values())
    return f"{sum(produced['sent'].values()):,} events, {rejected} rows rejected"


def _publish(result: DemoResult, settings: Settings, airflow: Airflow, progress: Progress) -> None:
    with progress.step("land the events in the lake, exactly once") as step:
        limit_s = 180 * result.source.time_limit_factor
        wanted = lake.wait_landed(USER_EVENT_TOPICS, "user events", result.log, limit_s, step.say)
    with progress.step("okr_etl_dag, started by the landed events: gate, load, dbt, gate, publish") as step:
        limit_s = 420 * result.source.time_limit_factor
        result.publication = warehouse.wait_published(settings, wanted, limit_s, Watch(airflow, step.say))
        step.say(f"publication {result.publication['publication_id']}")


def _train(result: DemoResult, airflow: Airflow, progress: Progress) -> None:
    with progress.step("model_training_dag and data_quality_dag") as step:
        training, quality = (airflow.start(dag) for dag in ("model_training_dag", "data_quality_dag"))
        for each in (training, quality):
            airflow.wait(each, 400 * result.source.time_limit_factor, step.say)
        decision = airflow.result(training, "promote")
        result.is_champion_expected = decision in {"promoted", "kept"}
        step.say(f"the new model was {decision}" if decision else "too few closed key results to train a model")


def _use_api(result: DemoResult, settings: Settings, airflow: Airflow, app: App, progress: Progress) -> None:
    with progress.step("call the API as user app: log in, GET /models, POST /predict, two GETs under /v1") as step:
        result.models = app.wait_for_champion(CHAMPION_LIMIT_S if result.is_champion_expected else 0)
        candidates = warehouse.rows(
            settings.require("dsn_analyst"), "key_results_to_forecast", {"limit": MAX_FORECASTS}
        )
        result.titles = {row["key_result_id"]: row["title"] for row in candidates}
        result.has_open_key_result = any(not row["is_closed"] for row in candidates)
        result.predictions = [each for each in app.predict(list(result.titles)) if each["status"] == "forecast"]
        app.call("GET", "/v1/okr-progress")
        app.call("GET", "/v1/system-health")
        step.say(f"{len(result.predictions)} forecasts by {_active_model_name(result.models)}")
    if result.source.data:
        with progress.step("okr_etl_dag again: publish the served predictions in marts.fct_prediction") as step:
            lake.wait_landed(("okr_ai_predictions",), "predictions", result.log, 60, step.say)
            airflow.wait(airflow.start("okr_etl_dag"), 300, step.say)
            _check_arrived(result, settings, step, limit_s=30)
        return
    open_ones = [row["key_result_id"] for row in candidates if not row["is_closed"]][:LIVE_CHECK_INS]
    with progress.step("post check-ins to the API and wait until an analyst sees them in the published mart") as step:
        _post_check_ins(result, settings, app, open_ones, step)
    with progress.step("find the served predictions in marts.fct_prediction") as step:
        _check_arrived(result, settings, step, limit_s=150)


def _active_model_name(models: dict[str, Any]) -> str:
    active = models["active"]
    return "the prior" if active["role"] == "prior" else f"{active['name']} version {active['version']}"


def _post_check_ins(result: DemoResult, settings: Settings, app: App, key_results: list[str], step: Step) -> None:
    posted: dict[str, float] = {}
    for number, key_result in enumerate(key_results):
        if number:
            time.sleep(LIVE_INTERVAL_S)
        now = app.call("GET", f"/v1/key-results/{key_result}")["key_result"]
        body = {"key_result_id": key_result, "value": now["latest_value"], "confidence": 0.5, "note": "demo"}
        posted[app.call("POST", "/v1/check-ins", json=body)["check_in_id"]] = time.monotonic()
        step.say(f"{len(posted)} posted")
    for check_in, at in posted.items():
        result.latencies_s.append(warehouse.wait_for_check_in(settings, check_in, 180, result.log) - at)
        step.say(f"{len(result.latencies_s)} of {len(posted)} seen, after at most {max(result.latencies_s):.0f} s")


def _check_arrived(result: DemoResult, settings: Settings, step: Step, limit_s: float) -> None:
    wanted = {"prediction_ids": [each["prediction_id"] for each in result.predictions]}
    deadline = time.monotonic() + limit_s
    while True:
        arrived = warehouse.rows(settings.require("dsn_analyst"), "published_predictions", wanted)[0]["arrived"]
        step.say(f"{arrived} of {len(result.predictions)} arrived")
        if arrived == len(result.predictions):
            return
        if time.monotonic() > deadline:
            raise PermanentError(
                f"Only {arrived} of {len(result.predictions)} served predictions are in marts.fct_prediction after "
                f"{limit_s:.0f} s. `okr lake verify` shows where the others are; see {result.log}."
            )
        time.sleep(2)


def _verify(result: DemoResult, settings: Settings, progress: Progress) -> None:
    if result.source.data:
        with progress.step("okr forecast backtest: forecast the held-out cycles") as step:
            _backtest(result, step)
    with progress.step("okr lake verify: nothing lost, nothing duplicated") as step:
        result.ledger = lake.ledger(result.log, step.say)["topics"]
        result.dbt = dbt_results(settings.dbt_target_dir)
        result.gates = warehouse.rows(settings.require("dsn_serving"), "gate_results")
        current = warehouse.rows(settings.require("dsn_serving"), "current_publication")
        result.publication = current[0]
        step.say("")


def _backtest(result: DemoResult, step: Step) -> None:
    out = str(result.state / "forecasts.csv")
    try:
        okr(
            "forecast",
            "backtest",
            "--out",
            out,
            log=result.log,
            limit_s=300,
            fix="the message says what to do",
            say=step.say,
        )
        step.say(out)
    except StepFailed as failed:
        if failed.status != TOO_LITTLE_DATA:
            raise
        result.no_backtest_reason = failed.last_line
        step.say("none: too few closed cycles")
