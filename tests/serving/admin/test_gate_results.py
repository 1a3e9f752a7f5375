"""/admin/gate-results."""

from tests.serving.admin.operators import OperatorClient


def test_gate_results_are_filtered_and_paged(operator: OperatorClient) -> None:
    every = operator.pages("/gate-results", "gate_results", limit=2)
    assert [(each["gate"], each["run_id"]) for each in every] == [("marts", "b"), ("marts", "a"), ("raw", "a")]
    assert operator.pages("/gate-results", "gate_results", gate="marts", passed=False) == [every[1]]


def test_a_gate_result_is_returned_with_its_report(operator: OperatorClient) -> None:
    [newest] = operator.get("/gate-results", limit=1)["gate_results"]
    assert operator.get(f"/gate-results/{newest['gate_result_id']}") == {**newest, "report": {"suites": []}}
    assert operator.get("/gate-results/999999", status=404)["type"] == "urn:okr:problem:not-found"
