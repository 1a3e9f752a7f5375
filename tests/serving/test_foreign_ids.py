"""Every operation of the API, called with ids of another organisation: nothing of that organisation is returned."""

import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from serving.auth.actor import Actor
from serving.auth.assignment import Assignment
from serving.auth.roles import Role
from tests.serving.live_server import Api

OPERATOR = Actor("os:operator")
METHODS = ("get", "post", "put", "patch", "delete")
ENTITIES = {
    "key_result": "marts.dim_key_result", "objective": "marts.dim_objective", "team": "marts.dim_team",
    "user": "marts.dim_user", "cycle": "marts.dim_cycle", "check_in": "marts.fct_check_in",
}  # fmt: skip
OTHER_IDS = {
    "username": "app", "model_name": "key_result_forecast", "event_id": "00000000-0000-7000-8000-000000000000",
    "session_id": "f" * 64, "organisation": "x",
}  # fmt: skip
# These give the same answer to everybody who is logged in, with nothing of an organisation, or they never end.
SKIPPED = {"/v1/system-health/stream", "/auth/logout", "/auth/sessions"}


@pytest.fixture(scope="module")
def foreign(running_api: Api) -> dict[str, list[str]]:
    """All ids of the published organisation, by entity type."""
    with psycopg.connect(running_api.settings.require("dsn_serving")) as connection:
        found = {}
        for noun, mart in ENTITIES.items():
            rows = connection.execute(f"SELECT DISTINCT {noun}_id FROM {mart} ORDER BY 1".encode()).fetchall()
            found[noun] = [row[0] for row in rows]
        teams = connection.execute(b"SELECT DISTINCT name FROM marts.dim_team WHERE name IS NOT NULL").fetchall()
        found["team name"] = [row[0] for row in teams]
        titles = connection.execute(b"SELECT DISTINCT title FROM marts.dim_objective").fetchall()
        found["title"] = [row[0] for row in titles]
    return found


@pytest.fixture(scope="module", params=[Role.ADMIN, Role.LEAD, Role.SERVICE], ids=lambda role: role.value)
def stranger(running_api: Api, foreign: dict[str, list[str]], request: pytest.FixtureRequest) -> Iterator[Any]:
    """Headers of an account of another organisation that names teams and a user of the published one as its own."""
    auth, name = running_api.services.auth, f"stranger-{request.param.value}"
    assignment = Assignment("strangers", foreign["user"][0], tuple(foreign["team"][:3]))
    account = auth.account_changes.create(name, request.param, "correct horse battery", assignment, OPERATOR)
    yield {"Authorization": f"Bearer {auth.grants.first(account).access.text}"}
    auth.account_changes.disable(name, OPERATOR)


def value_of(name: str, foreign: dict[str, list[str]]) -> Any:
    """Return a foreign id for a parameter or field with this name, or None if it names nothing."""
    noun = re.sub(r"^(parent|owner|successor|reply_to)_|_ids?$", "", name)
    if noun in foreign:
        return foreign[noun][0]
    return OTHER_IDS.get(name)


def with_foreign_ids(example: Any, foreign: dict[str, list[str]]) -> Any:
    """Return an example of a body whose ids are those of the other organisation."""
    if isinstance(example, dict):
        return {name: _replaced(name, value, foreign) for name, value in example.items()}
    return [with_foreign_ids(each, foreign) for each in example] if isinstance(example, list) else example


def _replaced(name: str, value: Any, foreign: dict[str, list[str]]) -> Any:
    known = value_of(name, foreign)
    if known is None or value is None:
        return with_foreign_ids(value, foreign)
    return [known] if isinstance(value, list) else known


def requests_of(description: dict[str, Any], foreign: dict[str, list[str]]) -> Iterator[tuple[str, str, Any]]:
    for path, operations in description["paths"].items():
        for method in set(METHODS) & set(operations):
            if path in SKIPPED:
                continue
            operation = operations[method]
            content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            examples = content.get("schema", {}).get("examples") or [{}]
            if path == "/predict":
                examples = [{"key_result_ids": ["k"]}]
            body = None if method == "get" else with_foreign_ids(examples[0], foreign)
            filled = re.sub(r"{(\w+)}", lambda found: str(value_of(found[1], foreign) or "1"), path)
            yield method, filled, body
            for each in operation.get("parameters", ()):
                if each["in"] == "query" and (wanted := value_of(each["name"], foreign)):
                    yield method, f"{filled}?{each['name']}={wanted}", body


def test_no_operation_returns_anything_of_another_organisation(
    api: Api, foreign: dict[str, list[str]], stranger: dict[str, str]
) -> None:
    description = api.client.get("/openapi.json", headers=api.headers("admin")).json()
    secrets = {each for known in foreign.values() for each in known if len(each) > 5}
    pattern = re.compile("|".join(map(re.escape, sorted(secrets, key=len, reverse=True))))
    asked = list(requests_of(description, foreign))
    assert len(asked) > 80
    for method, path, body in asked:
        answer = api.client.request(method, path, json=body, headers={**stranger, "If-Match": "*"})
        assert answer.status_code < 500 or answer.status_code in (501, 503), (method, path, answer.text)
        sent = f"{path} {body}"
        own = {foreign["user"][0], *foreign["team"][:3]}  # as the account is assigned
        leaked = {found for found in pattern.findall(answer.text) if found not in sent} - own
        assert not leaked, (method, path, body, leaked)
        is_write = method != "get" and not path.startswith(("/predict", "/auth"))
        assert not is_write or answer.status_code >= 400, (method, path, body, answer.text)


def test_the_foreign_ids_exist(api: Api, foreign: dict[str, list[str]]) -> None:
    """So the other test would see them if they were returned."""
    headers = api.headers("admin")
    for path in (
        f"/v1/key-results/{foreign['key_result'][0]}",
        f"/v1/users?user={foreign['user'][0]}",
        f"/v1/objectives?objective={foreign['objective'][0]}&archived=true",
    ):
        assert api.client.get(path, headers=headers).status_code == 200, path
