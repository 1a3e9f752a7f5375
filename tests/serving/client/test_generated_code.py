"""okr_client matches the OpenAPI description: each operation is a method with the operation's parameters."""

import inspect
from typing import Any

import pytest
from okr_client import AsyncOkr, Okr

from serving.client_generator import description, files
from serving.client_generator.arguments import python_name
from serving.client_generator.operation_code import PAGING


@pytest.fixture(scope="module")
def described() -> description.Description:
    return description.read()


def test_the_generated_code_is_up_to_date(described: description.Description) -> None:
    expected, found = files.generated(described), files.existing()
    differing = sorted(path for path in {*expected, *found} if expected.get(path) != found.get(path))
    assert not differing, "The API has changed, and okr_client has not: run `make client` and commit the result."


def test_a_changed_api_changes_the_code(described: description.Description) -> None:
    schemas = {**described.schemas, "PublicationResponse": {**described.schemas["PublicationResponse"]}}
    schemas["PublicationResponse"]["properties"] = {"publication_id": {"type": "string"}}
    changed = files.generated(description.Description(described.operations, schemas))
    assert changed["models/data.py"] != files.existing()["models/data.py"]


def test_every_operation_is_a_method_with_all_parameters(described: description.Description) -> None:
    clients = [Okr("http://127.0.0.1:9"), AsyncOkr("http://127.0.0.1:9")]
    assert len(described.operations) > 80
    for operation in described.operations:
        for client in clients:
            method = method_of(client, operation)
            parameters = set(inspect.signature(method).parameters)
            names = {python_name(each["name"]) for each in operation.parameters}
            is_paged = "list" in type_name(method)
            assert names - (PAGING if is_paged or "format" in names else set()) <= parameters | {"cursor"}, operation
            assert method.__doc__, operation


def method_of(client: Any, operation: description.Operation) -> Any:
    group, _, part = operation.group.partition("_")
    owner = client if operation.group == description.ROOT else getattr(client, group)
    return getattr(getattr(owner, part) if part else owner, operation.name)


def type_name(method: Any) -> str:
    return str(inspect.signature(method).return_annotation).lower()
