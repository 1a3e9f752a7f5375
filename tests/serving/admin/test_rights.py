"""Every route of the admin API checks the caller's rights, and is described completely."""

import re

import pytest

from tests.serving.admin.operators import OperatorClient

ID = re.compile(r"{[^}]+}")


@pytest.fixture(scope="module")
def operations(operator: OperatorClient) -> list[tuple[str, str, dict[str, object]]]:
    described = operator.api.client.get("/openapi.json", headers=operator.headers).json()
    return [
        (method.upper(), path, operation)
        for path, operations in described["paths"].items()
        if path.startswith("/admin")
        for method, operation in operations.items()
    ]


def test_every_route_rejects_accounts_that_do_not_administer_the_installation(
    operator: OperatorClient, operations: list[tuple[str, str, dict[str, object]]]
) -> None:
    client = operator.api.client
    for account, status in (("lead", 403), ("app", 403), (None, 401)):
        headers = operator.api.headers(account) if account else {}
        for method, path, _ in operations:
            answer = client.request(method, ID.sub("1", path), headers=headers, json={})
            assert (answer.status_code, method, path) == (status, method, path)


def test_every_route_has_a_summary_and_an_example(operations: list[tuple[str, str, dict[str, object]]]) -> None:
    assert len(operations) > 5
    for method, path, operation in operations:
        if path == "/admin/state":
            continue
        assert "_" not in str(operation["summary"]), (method, path)
        responses = operation["responses"]
        assert isinstance(responses, dict)
        [success] = [responses[status] for status in responses if status.startswith("2")]
        [content] = success["content"].values()
        assert content["example"], (method, path)
