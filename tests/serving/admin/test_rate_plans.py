"""/admin/rate-plans."""

from tests.serving.admin.operators import OperatorClient

PLAN = {"requests_per_second": 5.0, "burst": 10, "description": "For tests."}


def test_a_plan_is_created_and_changed_and_a_repeat_changes_nothing(operator: OperatorClient) -> None:
    created = operator.put("/rate-plans/of-a-test", PLAN)
    assert operator.put("/rate-plans/of-a-test", PLAN) == created
    changed = operator.put("/rate-plans/of-a-test", {**PLAN, "burst": 20})
    assert (changed["burst"], changed["updated_at"] > created["updated_at"]) == (20, True)
    plans = {each["name"]: each for each in operator.get("/rate-plans")["rate_plans"]}
    assert plans["of-a-test"] == changed
    assert plans["standard"]["requests_per_second"] == 200


def test_invalid_plans_are_rejected(operator: OperatorClient) -> None:
    for path, body in (
        ("/rate-plans/Of-A-Test", PLAN),
        ("/rate-plans/x", {**PLAN, "burst": 0}),
        ("/rate-plans/x", {**PLAN, "burst": 1.5}),
        ("/rate-plans/x", {**PLAN, "requests_per_second": 1e9}),
        ("/rate-plans/x", {**PLAN, "plan": "y"}),
    ):
        operator.put(path, body, status=422)
    assert not {"x", "Of-A-Test"} & {each["name"] for each in operator.get("/rate-plans")["rate_plans"]}
