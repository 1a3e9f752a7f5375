"""The description of the API is complete: every operation has a summary, valid examples, and its errors."""

from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import TypeAdapter

from serving.http.error_responses import STATUS_OF
from serving.openapi import document as openapi
from serving.openapi.errors import ERRORS
from serving.openapi.examples import BODIES, RESPONSES
from serving.openapi.links import LINKS
from tests.serving.live_server import Api

Described = dict[str, Any]
WITHOUT_LOGIN = {
    "/livez", "/readyz", "/health", "/auth/token", "/auth/password", "/auth/refresh", "/.well-known/jwks.json",
}  # fmt: skip


@pytest.fixture(scope="module")
def described(running_api: Api) -> Described:
    answer = running_api.client.get("/openapi.json", headers=running_api.headers())
    return TypeAdapter(Described).validate_json(answer.content)


def operations(described: Described) -> dict[str, Described]:
    return {
        f"{method.upper()} {path}": operation
        for path, item in described["paths"].items()
        for method, operation in item.items()
    }


def test_the_description_is_made_once(running_api: Api, described: Described) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(openapi, "describe", lambda _app: pytest.fail("it was made again"))
        assert running_api.client.get("/openapi.json", headers=running_api.headers()).json() == described


def test_every_operation_has_a_summary_and_its_errors(described: Described) -> None:
    found = operations(described)
    assert len(found) > 80
    for name, operation in found.items():
        method, path = name.split()
        assert operation["summary"], name
        assert operation["description"], name
        expected = {"400", "422", "429", "500", "503"}
        if path not in WITHOUT_LOGIN:
            assert operation["security"], name
            expected |= {"401", "403"}
        if "requestBody" in operation:
            expected |= {"408", "413", "415"}
        if method in {"POST", "PUT"} and path.startswith("/v1/"):
            expected |= {"409"}
        assert expected <= set(operation["responses"]), name
        assert all(each["description"] for each in operation["responses"].values()), name
    ids = [operation["operationId"] for operation in found.values()]
    assert len(set(ids)) == len(ids)
    assert {str(status.value) for _, status, _ in STATUS_OF} <= {str(status) for status in ERRORS}


def contents(operation: Described) -> Iterator[tuple[str, Described]]:
    for status, response in operation["responses"].items():
        for media_type, content in response.get("content", {}).items():
            if media_type.endswith("json") and media_type != "application/octet-stream":
                yield f"{status} {media_type}", content
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        yield f"body {media_type}", content


def test_every_body_and_response_has_a_valid_example(described: Described) -> None:
    checked = 0
    for name, operation in operations(described).items():
        for what, content in contents(operation):
            examples = [content["example"]] if "example" in content else content["schema"].get("examples", [])
            assert examples, f"{name} {what} has no example"
            for example in examples:
                schema = {**content["schema"], "components": described["components"]}
                errors = [each.message for each in Draft202012Validator(schema).iter_errors(example)]
                assert not errors, f"{name} {what}"
                checked += 1
    assert checked > 900


def test_links_and_examples_name_operations_with_those_parameters(described: Described) -> None:
    by_id = {operation["operationId"]: operation for operation in operations(described).values()}
    assert {*RESPONSES, *BODIES} <= set(by_id)
    for (operation_id, status), links in LINKS.items():
        assert set(by_id[operation_id]["responses"][status]["links"]) == set(links)
        for link in links.values():
            names = {each["name"] for each in by_id[link["operationId"]].get("parameters", [])}
            assert set(link["parameters"]) <= names, link
