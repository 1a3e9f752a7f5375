"""Experiments in the running application: sticky arms on every worker, shadows, and guardrails that stop an arm."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ingestion.contract_validation import decode
from lakehouse.contracts.prediction import ModelPredictionServed, ModelPredictionShadowed
from lakehouse.errors import PermanentError
from ml.model_registry import MODEL_NAME
from serving.commands import app as commands
from serving.errors import Conflict, NotApplicable, NotFound
from serving.experiments.experiment import Arm, Experiment, Guardrails
from serving.experiments.service import parsed_arm
from tests.polling import until
from tests.serving.live_server import Api, serving
from tests.serving.models.second_model import NAME, register, serving_second_model
from tests.serving.topic_reader import read_until

HALVES = [Arm(name="control", reference="champion", share=0.5), Arm(name="new", reference="2", share=0.5)]


@pytest.fixture
def stopped_afterwards(api: Api) -> Iterator[None]:
    yield
    for experiment in api.services.prediction.experiments.all():
        api.services.prediction.experiments.stop(experiment.name, "end of the test")
    until(lambda: follows(api, None), "the worker follows no experiment", pause=0.05)


def follows(api: Api, name: str | None, model: str = MODEL_NAME) -> bool:
    state = api.services.prediction.runtime.current(model)
    return (state.experiment.name if state.experiment else None) == name and (
        state.experiment is None or set(state.arms) == {arm.name for arm in state.experiment.running_arms}
    )


def start(apis: list[Api], name: str, arms: list[Arm], **fields: Any) -> Experiment:
    experiments = apis[0].services.prediction.experiments
    experiments.create(name, arms, created_by="test", **fields)
    started = experiments.start(name)
    for api in apis:
        until(lambda api=api: follows(api, name, started.model_name), "the worker follows the experiment", pause=0.05)
    return started


def predict(api: Api, body: dict[str, Any]) -> list[dict[str, Any]]:
    answer = api.client.post("/predict", json=body, headers=api.headers())
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["predictions"]
    return [item for item in items if item["status"] == "forecast"]


def ids_of(api: Api) -> list[str]:
    found = api.client.get("/v1/key-results?limit=1000", headers=api.headers()).json()
    return [each["key_result_id"] for each in found["key_results"]]


def by_id(items: list[dict[str, Any]]) -> dict[str, tuple[str, str, float]]:
    return {item["key_result_id"]: (item["arm"], item["model_version"], item["probability"]) for item in items}


@pytest.mark.usefixtures("stopped_afterwards")
def test_each_key_result_keeps_its_arm_on_every_worker_and_its_event_says_so(api: Api) -> None:
    with serving(api.settings) as other:
        started = start([api, other], "halves", HALVES)
        body = {"key_result_ids": ids_of(api)}
        items = predict(api, body)
        assert by_id(items) == by_id(predict(other, body)) == by_id(predict(api, body))
    for item in items:
        arm = started.arm_of(item["key_result_id"])
        assert arm is not None
        assert (item["experiment"], item["arm"]) == ("halves", arm.name)
        assert item["model_version"] == {"control": "1", "new": "2"}[arm.name]
    assert {item["arm"] for item in items} == {"control", "new"}
    message = read_until(api.settings, "okr_ai_predictions", lambda value: items[0]["prediction_id"].encode() in value)
    event = decode("okr_ai_predictions", message.value, message.key).payload
    assert isinstance(event, ModelPredictionServed)
    assert (event.experiment, event.arm, event.model_version) == (
        "halves", items[0]["arm"], items[0]["model_version"],
    )  # fmt: skip
    listed = api.client.get("/models", headers=api.headers()).json()["models"][0]
    assert [arm["name"] for arm in listed["experiment"]["arms"]] == ["control", "new"]


@pytest.mark.usefixtures("stopped_afterwards")
@pytest.mark.parametrize("unit", ["team", "account"])
def test_all_key_results_of_a_team_or_account_have_one_arm(api: Api, unit: str) -> None:
    start([api], f"by {unit}", HALVES, unit=unit)
    items = predict(api, {"key_result_ids": ids_of(api)})
    rows = api.client.get("/v1/key-results?limit=1000", headers=api.headers()).json()["key_results"]
    team_of = {row["key_result_id"]: row["team_id"] if unit == "team" else "app" for row in rows}
    arms = {(team_of[item["key_result_id"]], item["arm"]) for item in items}
    assert len(arms) == len({name for name, _ in arms})


@pytest.mark.usefixtures("stopped_afterwards")
def test_a_shadow_arm_predicts_for_the_same_request_and_is_never_returned(api: Api) -> None:
    start([api], "shadowed", [Arm(name="next", reference="challenger", share=1.0, is_shadow=True)], unit="account")
    (item,) = predict(api, {"key_result_ids": ["rtl"]})
    assert (item["model_version"], item["arm"]) == ("1", None)
    served_id = item["prediction_id"].encode()
    message = read_until(
        api.settings, "okr_ai_predictions", lambda value: b"shadowed.v1" in value and served_id in value
    )
    shadow = decode("okr_ai_predictions", message.value, message.key).payload
    assert isinstance(shadow, ModelPredictionShadowed)
    assert (shadow.served_prediction_id, shadow.subject_id) == (item["prediction_id"], "rtl")
    assert (shadow.model_version, shadow.arm, shadow.experiment) == ("2", "next", "shadowed")
    assert shadow.output["probability"] != item["probability"]


def test_a_guardrail_stops_a_failing_arm_on_all_workers_and_no_request_fails(
    running_api: Api, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with (
        serving_second_model(running_api.settings, tmp_path_factory.mktemp("first")) as one,
        serving(running_api.settings) as other,
    ):
        good = register(one.settings, tmp_path / "good", ["raise revenue", "raise morale"])
        bad = register(one.settings, tmp_path / "bad", ["raise revenue", "raise morale"], "FAIL")
        body = {"version": good}
        one.client.post(f"/models/{NAME}/load", json=body, headers=one.headers("admin"))
        assert one.services.prediction.runtime.active(NAME).version == good
        arms = [Arm(name="bad", reference=bad, share=1.0)]
        guardrails = Guardrails(min_calls=5)  # all calls below: a check may run between two of them
        start([one], "failing", arms, model_name=NAME, unit="account", guardrails=guardrails)
        question = {"model": NAME, "features": {"text": "trigger"}}
        (item,) = predict(one, {"model": NAME, "features": {"text": "raise"}})
        assert (item["arm"], item["model_version"]) == ("bad", bad)
        for _ in range(4):
            (item,) = predict(one, question)
            assert (item["arm"], item["model_version"]) == (None, good), "the active version answers instead"
        until(lambda: one.services.prediction.experiments.get("failing").stopped_arms, "the arm is stopped", pause=0.05)
        assert "80.0% of its 5 calls" in one.services.prediction.experiments.get("failing").stopped_arms["bad"]
        until(lambda: not one.services.prediction.runtime.current(NAME).arms, "the worker stops the arm", pause=0.05)
        assert predict(one, {"model": NAME, "features": {"text": "raise"}})[0]["arm"] is None
        assert predict(other, {"key_result_ids": ["rtl"]})[0]["arm"] is None
        one.services.prediction.experiments.stop("failing", "end of the test")


def test_an_experiment_that_cannot_run_is_refused(api: Api) -> None:
    experiments = api.services.prediction.experiments
    with pytest.raises(NotApplicable, match="add up to 1"):
        experiments.create("too much", [*HALVES, Arm(name="c", reference="1", share=0.5)], created_by="test")
    with pytest.raises(NotFound):
        experiments.create("no model", HALVES, model_name="nothing", created_by="test")
    experiments.create("no version", [Arm(name="a", reference="99", share=1.0)], created_by="test")
    with pytest.raises(NotFound, match="99"):
        experiments.start("no version")
    with pytest.raises(Conflict, match="already exists"):
        experiments.create("no version", HALVES, created_by="test")
    with pytest.raises(NotFound):
        experiments.start("unknown")


@pytest.mark.usefixtures("stopped_afterwards")
def test_the_commands_create_start_list_and_stop(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lakehouse.settings.load_settings", lambda: api.settings)

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(commands, ["experiment", *arguments], catch_exceptions=False)
        assert result.exit_code == 0
        return result.output

    created = run("create", "by command", "--arm", "new=challenger:0.5", "--arm", "next=2:1:shadow", "--salt", "s")
    assert "by command: draft" in created
    assert "salt s" in created
    assert "running" in run("start", "by command")
    api.services.prediction.experiments.create("second", HALVES, created_by="test")
    with pytest.raises(Conflict, match="is running; stop it first"):
        api.services.prediction.experiments.start("second")
    assert "shadow, share 1" in run("list")
    assert "stopped" in run("stop", "by command", "--reason", "enough")
    assert api.services.prediction.experiments.get("by command").stop_reason == "enough"
    with pytest.raises(Conflict, match="create another one"):
        api.services.prediction.experiments.start("by command")


@pytest.mark.parametrize("text", ["a", "a=1", "a=1:2", "a=1:x", "=1:0.5", "a=1:0.5:other", "a=1:0", "a=:0.5"])
def test_an_arm_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(PermanentError, match=r"Expected an arm such as new=challenger:0\.5"):
        parsed_arm(text)
