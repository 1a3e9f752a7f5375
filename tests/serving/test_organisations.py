"""An account of an organisation sees only that organisation; for it, no other id exists."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

import serving
from serving.auth.actor import Actor
from serving.auth.assignment import Assignment
from serving.auth.roles import Identity, Role
from serving.auth.visibility import parameters
from tests.serving.live_server import Api

OPERATOR = Actor("os:operator")
PASSWORD = "correct horse battery staple"
CHECK_IN = {"value": 0.5, "note": "guessed"}


@pytest.fixture(scope="module")
def objects(running_api: Api) -> dict[str, str]:
    """Ids of objects of the published organisation: a running key result, its team, a user, a check-in."""
    query = """
        SELECT scorecard.key_result_id, scorecard.team_id, team.organisation_id, scorecard.team_name,
            (SELECT check_in_id FROM marts.fct_check_in WHERE key_result_id = scorecard.key_result_id LIMIT 1),
            (SELECT user_id FROM marts.fct_user_activity_daily ORDER BY user_id LIMIT 1)
        FROM marts.mart_okr_scorecard AS scorecard
        INNER JOIN marts.dim_team AS team ON scorecard.team_id = team.team_id AND team.is_current
        WHERE scorecard.status = 'on_track' AND scorecard.is_current_cycle
        ORDER BY scorecard.key_result_id LIMIT 1
    """
    with psycopg.connect(running_api.settings.require("dsn_serving")) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    names = ("key_result_id", "team_id", "organisation_id", "team_name", "check_in_id", "user_id")
    return dict(zip(names, row, strict=True))


@pytest.fixture(scope="module")
def headers(running_api: Api, objects: dict[str, str]) -> Iterator[dict[str, dict[str, str]]]:
    """Headers of administrators and a member of the published organisation and of another one."""
    auth = running_api.services.auth
    made = {}
    for name, role, organisation in (
        ("own", Role.ADMIN, objects["organisation_id"]), ("other", Role.ADMIN, "another-organisation"),
        ("member", Role.MEMBER, objects["organisation_id"]),
    ):  # fmt: skip
        assignment = Assignment(organisation_id=organisation, user_id="nobody")
        account = auth.account_changes.create(f"organisation-{name}", role, PASSWORD, assignment, OPERATOR)
        made[name] = {"Authorization": f"Bearer {auth.grants.first(account).access.text}"}
    yield made
    for name in made:
        auth.account_changes.disable(f"organisation-{name}", OPERATOR)


Headers = dict[str, dict[str, str]]


def get(api: Api, headers: dict[str, str], path: str) -> tuple[int, dict[str, Any]]:
    answer = api.client.get(path, headers=headers)
    return answer.status_code, answer.json()


@pytest.mark.parametrize("path", ["/v1/key-results/{key_result_id}", "/v1/users/{user_id}/activity"])
def test_an_id_of_another_organisation_is_unknown(
    api: Api, objects: dict[str, str], headers: Headers, path: str
) -> None:
    path = path.format(**objects)
    assert get(api, headers["own"], path)[0] == 200
    status, body = get(api, headers["other"], path)
    assert (status, "similar" in body) == (404, False), "it does not name ids of other organisations either"


@pytest.mark.parametrize(("path", "rows"), [("/v1/key-results", "key_results"), ("/v1/okr-progress", "teams")])
def test_lists_have_no_rows_of_another_organisation(api: Api, headers: Headers, path: str, rows: str) -> None:
    assert get(api, headers["own"], path)[1][rows]
    assert get(api, headers["other"], path)[1][rows] == []


@pytest.mark.parametrize("path", ["/v1/key-results", "/v1/okr-progress"])
def test_a_team_of_another_organisation_is_an_unknown_name(
    api: Api, objects: dict[str, str], headers: Headers, path: str
) -> None:
    for name in (objects["team_id"], objects["team_name"], objects["team_name"][:-1]):
        status, body = get(api, headers["other"], f"{path}?team={name}")
        assert (status, body["similar"]) == (422, [])
    assert get(api, headers["own"], f"{path}?team={objects['team_id']}")[0] == 200


def test_a_key_result_of_another_organisation_has_no_forecast_also_if_it_is_cached(
    api: Api, objects: dict[str, str], headers: Headers
) -> None:
    body = {"key_result_ids": [objects["key_result_id"], "never-defined"]}
    answers = {name: api.client.post("/predict", json=body, headers=headers[name]) for name in ("own", "other", "own")}
    statuses = {name: [each["status"] for each in answer.json()["predictions"]] for name, answer in answers.items()}
    assert statuses == {"own": ["forecast", "unknown"], "other": ["unknown", "unknown"]}
    hidden, unknown = answers["other"].json()["predictions"]
    assert {**hidden, "key_result_id": ""} == {**unknown, "key_result_id": ""}


def test_a_member_sees_the_activity_of_no_other_user(api: Api, objects: dict[str, str], headers: Headers) -> None:
    assert get(api, headers["member"], f"/v1/users/{objects['user_id']}/activity")[0] == 404
    assert get(api, headers["member"], f"/v1/key-results/{objects['key_result_id']}")[0] == 200


def test_a_check_in_of_another_organisation_can_be_neither_recorded_corrected_nor_probed(
    api: Api, objects: dict[str, str], headers: Headers
) -> None:
    new = {**CHECK_IN, "key_result_id": objects["key_result_id"]}
    answer = api.client.post("/v1/check-ins", json=new, headers=headers["other"])
    assert (answer.status_code, answer.json().get("similar", [])) == (422, [])
    answer = api.client.post("/v1/check-ins?allow_unknown=true", json=new, headers=headers["other"])
    assert answer.status_code == 422
    answer = api.client.put(f"/v1/check-ins/{objects['check_in_id']}", json=CHECK_IN, headers=headers["other"])
    assert answer.status_code == 404
    probe = {**new, "check_in_id": objects["check_in_id"]}
    answer = api.client.post("/v1/check-ins", json=probe, headers=headers["other"])
    assert (answer.status_code, "differs" in answer.json()) == (422, False)


@pytest.fixture(scope="module")
def lookalike(running_api: Api, objects: dict[str, str], headers: dict[str, dict[str, str]]) -> str:
    """A key result of the other organisation, not published yet, whose id resembles one of the published one."""
    key_result_id = f"{objects['key_result_id']}-x"
    events = [
        {"type": "okr.team.defined.v1",
         "data": {"team_id": "look", "organisation_id": "another-organisation", "name": "n"}},
        {"type": "okr.cycle.defined.v1",
         "data": {"cycle_id": "look", "organisation_id": "another-organisation", "name": "n",
                  "starts_on": "2026-10-01", "ends_on": "2026-12-31"}},
        {"type": "okr.objective.defined.v1",
         "data": {"objective_id": "look", "team_id": "look", "cycle_id": "look", "title": "t"}},
        {"type": "okr.key_result.defined.v1",
         "data": {"key_result_id": key_result_id, "objective_id": "look", "title": "t", "unit": "u", "baseline": 0.0,
                  "target": 1.0, "direction": "increase"}},
    ]  # fmt: skip
    answer = running_api.client.post("/v1/events", json={"events": events}, headers=headers["other"])
    assert answer.status_code == 202, answer.text
    return key_result_id


SUGGESTING: list[tuple[str, str, dict[str, Any] | None]] = [
    ("POST", "/v1/check-ins", {"key_result_id": "{near}", "value": 1.0}),
    ("POST", "/v1/check-ins", {"key_result_id": "{wrong}", "value": 1.0}),
    ("GET", "/v1/key-results/{wrong}", None),
    ("GET", "/v1/check-ins?key_result={wrong}", None),
    ("GET", "/v1/teams?organisation={organisation_id}x", None),
    ("GET", "/v1/user-activity?user={user_id}x", None),
    ("GET", "/v1/users?user={user_id}x", None),
    ("POST", "/v1/comments", {"key_result_id": "{wrong}", "user_id": "{user_id}x", "text": "t"}),
    ("POST", "/v1/objectives", {"team_id": "{team_id}x", "cycle_id": "look", "title": "t"}),
    ("POST", "/v1/key-results/{wrong}/archival", {}),
]


@pytest.mark.parametrize(("method", "path", "body"), SUGGESTING, ids=[f"{each[0]} {each[1]}" for each in SUGGESTING])
def test_no_suggestion_has_an_id_of_another_organisation(  # noqa: PLR0917 -- the request
    api: Api, objects: dict[str, str], headers: Headers, lookalike: str, method: str, path: str,
    body: dict[str, Any] | None,
) -> None:  # fmt: skip
    names = {**objects, "near": lookalike, "wrong": f"{objects['key_result_id']}y"}
    sent = None if body is None else {name: _filled(value, names) for name, value in body.items()}
    answer = api.client.request(method, _filled(path, names), json=sent, headers=headers["other"])
    assert answer.status_code in (404, 422), answer.text
    assert answer.json().get("similar", []) == []
    own = api.client.request(method, _filled(path, names), json=sent, headers=headers["own"]).json()
    assert own.get("similar", ["not all of them suggest anything"])


def _filled(value: Any, names: dict[str, str]) -> Any:
    return value.format(**names) if isinstance(value, str) else value


def test_only_one_module_reads_names_to_suggest() -> None:
    """So that no part of the API forgets what the caller may see."""
    reading = [
        path.name
        for path in Path(serving.__file__).parent.rglob("*.py")
        if {'"known_names"', '"similar_key_results"'} & set(re.findall(r'"[a-z_]+"', path.read_text("utf-8")))
    ]
    assert reading == ["similar_ids.py"]


def test_the_reports_about_all_data_are_not_for_accounts_of_one_organisation(api: Api, headers: Headers) -> None:
    for path in ("quality", "catalog"):
        folder = api.settings.sites_dir / path
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("index.html", "report.html"):
            (folder / name).write_text("rows", encoding="utf-8")
    seen = []
    for username, password in (
        ("lead", api.settings.require("lead_password")), ("organisation-own", PASSWORD),
        ("organisation-member", PASSWORD),
    ):  # fmt: skip
        api.client.cookies.clear()
        assert api.client.post("/login", data={"username": username, "password": password}).status_code == 303
        statuses = [api.client.get(f"/{path}/report.html").status_code for path in ("quality", "catalog")]
        page = api.client.get("/").text
        seen.append((statuses, "/quality/" in page, "/catalog/" in page))
    assert seen == [([200, 200], True, True), ([403, 403], False, False), ([403, 403], False, False)]


def test_only_who_reads_about_the_system_sees_hosts_and_administrators(api: Api, headers: Headers) -> None:
    seen = {}
    for name, sent in (("own", headers["own"]), ("lead", api.headers("lead")), ("app", api.headers("app"))):
        [model] = get(api, sent, "/models")[1]["models"]
        seen[name] = bool(model["workers"])
        assert {model["detail"], model["directive"]["created_by"]} == {None} or name == "app"
    assert seen == {"own": False, "lead": False, "app": True}


def test_the_activity_of_a_user_is_that_in_teams_which_the_caller_leads(api: Api) -> None:
    """As in the list: who once led a team, or an organisation that a user has left, sees no later activity."""
    query = """
        SELECT user_id, min(team_id), max(team_id) FROM marts.fct_user_activity_daily
        GROUP BY user_id HAVING min(team_id) <> max(team_id) ORDER BY user_id LIMIT 1
    """
    with psycopg.connect(api.settings.require("dsn_serving")) as connection:
        moved = connection.execute(query.encode()).fetchone()
        assert moved is not None, "a user of the simulated organisation changes teams"
        user_id, *teams = moved
        count = """
            SELECT count(*) FROM marts.fct_user_activity_daily WHERE user_id = %s AND team_id = %s
            AND day > (SELECT (data_as_of AT TIME ZONE 'UTC')::date - 366 FROM marts.publication)
        """
        days = [connection.execute(count.encode(), [user_id, team]).fetchone()[0] for team in teams]  # type: ignore[index]
    seen = []
    for team in teams:
        lead = Identity("lead", Role.LEAD, None, None, (team,), frozenset(), "standard", "token:1")
        seen.append(len(api.services.data.user_activity(user_id, 366, parameters(lead)).value))
    assert seen == days


def test_pages_show_nothing_of_another_organisation(api: Api, objects: dict[str, str], headers: Headers) -> None:
    seen = {}
    for name in ("own", "other"):
        api.client.cookies.clear()
        form = {"username": f"organisation-{name}", "password": PASSWORD}
        assert api.client.post("/login", data=form).status_code == 303
        page = api.client.get("/", headers={"Accept": "text/html"})
        one = api.client.get(f"/key-results/{objects['key_result_id']}", headers={"Accept": "text/html"})
        seen[name] = (page.status_code, objects["team_name"] in page.text, one.status_code)
    assert seen == {"own": (200, True, 200), "other": (200, False, 404)}


def test_an_administrator_of_an_organisation_does_not_administer_the_installation(api: Api, headers: Headers) -> None:
    for path in ("/admin/state", "/v1/system-health"):
        assert get(api, headers["own"], path)[0] == 403
    load = api.client.post("/models/key_result_forecast/load", json={"version": "1"}, headers=headers["own"])
    assert load.status_code == 403
