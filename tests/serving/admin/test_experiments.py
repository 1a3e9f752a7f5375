"""/admin/experiments: the functions of `okr experiment`."""

from typing import Any

from serving.admin.experiments.schemas import ArmRecord, GuardrailsRecord
from serving.experiments.experiment import Arm, Guardrails
from tests.serving.admin.operators import OperatorClient


def body(name: str, **others: Any) -> dict[str, Any]:
    return {"name": name, "arms": [{"name": "new", "reference": "challenger", "share": 0.5}], **others}


def test_the_api_has_all_fields_of_arms_and_guardrails() -> None:
    """Without one of them, an experiment could not be shown."""
    assert set(ArmRecord.model_fields) == set(Arm.__struct_fields__)
    assert set(GuardrailsRecord.model_fields) == set(Guardrails.__struct_fields__)


def test_an_experiment_is_created_listed_and_stopped(operator: OperatorClient) -> None:
    for name in ("first", "second"):
        created = operator.post("/experiments", body(name), status=201)
        assert (created["state"], created["created_by"]) == ("draft", "admin")
        assert created["arms"] == [{"name": "new", "reference": "challenger", "share": 0.5, "is_shadow": False}]
    listed = [
        each for each in operator.pages("/experiments", "experiments", limit=1) if each["name"] != "of the command"
    ]
    assert [each["name"] for each in listed] == ["second", "first"]
    assert operator.get("/experiments/second") == {**listed[0], "recent_calls": []}
    assert operator.post("/experiments", body("second"), status=409)["type"] == "urn:okr:problem:conflict"
    for reason in ("no longer needed", "again"):
        stopped = operator.post("/experiments/second/stop", {"reason": reason})
        assert (stopped["state"], stopped["stop_reason"]) == ("stopped", "no longer needed")


def test_an_experiment_whose_version_does_not_exist_does_not_start(operator: OperatorClient) -> None:
    operator.post("/experiments", body("early"), status=201)
    assert "challenger" in operator.post("/experiments/early/start", status=404)["detail"]
    operator.post("/experiments/unknown/start", status=404)
    assert operator.get("/experiments/early")["state"] == "draft"


def test_invalid_experiments_are_rejected(operator: OperatorClient) -> None:
    for invalid in (
        body("x", arms=[]),
        body("x", arms=[{"name": "a", "reference": "1", "share": 0}]),
        body("x", arms=[{"name": "a", "reference": "1", "share": 0.9}, {"name": "b", "reference": "2", "share": 0.9}]),
        body("x", unit="person"),
        body("x", state="running"),
        body("x", guardrails={"min_calls": "20"}),
    ):
        assert operator.post("/experiments", invalid, status=422)["detail"]
    operator.get("/experiments/x", status=404)
