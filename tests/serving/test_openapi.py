"""The description of the data API is complete: every operation has a summary, examples and its errors."""

from typing import Any

import pytest
from pydantic import TypeAdapter

from tests.serving.live_server import Api

METHODS = ("get", "post", "put")


@pytest.fixture(scope="module")
def described(running_api: Api) -> dict[str, Any]:
    answer = running_api.client.get("/openapi.json", headers=running_api.headers())
    return TypeAdapter(dict[str, Any]).validate_json(answer.content)


def operations(described: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{method.upper()} {path}": operation
        for path, item in described["paths"].items()
        if path.startswith("/v1/")
        for method, operation in item.items()
    }


def test_every_operation_has_a_summary_examples_and_errors(described: dict[str, Any]) -> None:
    found = operations(described)
    assert len(found) > 40
    for name, operation in found.items():
        assert operation["summary"], name
        assert operation["description"], name
        responses = operation["responses"]
        success = next(responses[code] for code in ("200", "202") if code in responses)
        examples = [each.get("example") for each in success["content"].values()]
        assert any(examples), f"{name} has no example"
        assert {"401", "403", "503"} <= set(responses), name
        if name.startswith(("POST", "PUT")):
            assert {"409", "422"} <= set(responses), name
        assert all(each["description"] for each in responses.values()), name
        if "requestBody" in operation and name.split("/")[2] != "check-ins":
            assert operation["requestBody"]["content"]["application/json"]["schema"]["examples"], name
    ids = [operation["operationId"] for operation in found.values()]
    assert len(set(ids)) == len(ids)
