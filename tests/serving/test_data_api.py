"""The data API returns the content of the published marts and names the publication."""

import re
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from psycopg.types.json import Jsonb

from ingestion.contract_validation import EncodedEvent, decode
from lakehouse.contracts.user import UserDefined
from lakehouse.settings import Settings
from lakehouse.warehouse import connect
from tests.serving.data_api import all_pages, get
from tests.serving.live_server import Api, health_of
from tests.serving.published_organisation import STRANGE, good


def analyst(settings: Settings, query: str) -> list[tuple[Any, ...]]:
    """Ask the marts as an analyst does."""
    with psycopg.connect(settings.require("dsn_analyst")) as connection:
        return connection.execute(query.encode()).fetchall()


@pytest.mark.parametrize(
    ("path", "rows"), [("/v1/okr-progress?", "teams"), ("/v1/system-health?hours=168", "host_metrics")]
)
def test_paged_lists_return_every_row_once_in_the_order_of_the_whole_list(
    api: Api, app_headers: dict[str, str], path: str, rows: str
) -> None:
    whole = get(api, app_headers, f"{path}&limit=1000")[rows]
    assert len(whole) > 7
    first = get(api, app_headers, f"{path}&limit=7")
    assert (len(first[rows]), first["next_cursor"] is None) == (7, False)
    assert all_pages(api, app_headers, f"{path}&limit=7", rows) == all_pages(
        api, app_headers, f"{path}&limit=1000", rows
    )


@pytest.mark.parametrize("cursor", ["W10", "WzEsMl0", "bm90IGpzb24", "WyJhIiwgInEiLCAieCIsICJ5IiwgInoiXQ"])
@pytest.mark.parametrize("path", ["/v1/key-results", "/v1/okr-progress", "/v1/system-health"])
def test_a_cursor_of_another_list_is_rejected(api: Api, app_headers: dict[str, str], path: str, cursor: str) -> None:
    answer = api.client.get(f"{path}?cursor={cursor}", headers=app_headers)
    assert answer.status_code == 422
    assert answer.json()["reason"] == "unknown_cursor"
    assert f"GET {path} did not return this cursor" in answer.json()["detail"]


def test_pages_of_key_results_hold_each_one_once_in_order(api: Api, app_headers: dict[str, str]) -> None:
    seen: list[str] = []
    cursor = ""
    while cursor is not None:
        body = get(api, app_headers, f"/v1/key-results?limit=50{cursor and f'&cursor={cursor}'}")
        seen += [one["key_result_id"] for one in body["key_results"]]
        cursor = body["next_cursor"]
    expected = analyst(api.settings, "SELECT key_result_id FROM marts.mart_okr_scorecard")
    assert seen == sorted(row[0] for row in expected)
    assert len(seen) > 100


def test_a_filter_takes_ids_and_names_and_any_of_several(api: Api, app_headers: dict[str, str]) -> None:
    cycles = sorted(
        {(team["cycle_id"], team["cycle_name"]) for team in get(api, app_headers, "/v1/okr-progress")["teams"]}
    )
    assert len(cycles) >= 2
    for path, rows in (("/v1/key-results", "key_results"), ("/v1/okr-progress", "teams")):
        for cycle_id, name in cycles[:2]:
            by_id = get(api, app_headers, f"{path}?cycle={quote(cycle_id)}")[rows]
            assert by_id
            assert by_id == get(api, app_headers, f"{path}?cycle={quote(name)}")[rows]
        limit = "&limit=1000" if rows == "key_results" else ""
        both = get(api, app_headers, f"{path}?cycle={quote(cycles[0][0])}&cycle={quote(cycles[1][1])}{limit}")
        assert {one["cycle_id"] for one in both[rows]} == {cycles[0][0], cycles[1][0]}
    several = get(api, app_headers, "/v1/key-results?status=achieved&status=missed&limit=1000")["key_results"]
    assert {one["status"] for one in several} == {"achieved", "missed"}


@pytest.mark.parametrize("path", ["/v1/key-results", "/v1/okr-progress"])
@pytest.mark.parametrize("noun", ["team", "cycle"])
def test_an_unknown_name_is_an_error_that_suggests_similar_names(
    api: Api, app_headers: dict[str, str], path: str, noun: str
) -> None:
    """An unknown name looked like an empty answer, as in https://github.com/openclaw/clawhub/issues/2184."""
    known = get(api, app_headers, "/v1/okr-progress")["teams"][0][f"{noun}_name"]
    wanted = known[:-1] + "~"
    answer = api.client.get(path, params={noun: [known, wanted]}, headers=app_headers)
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["type"] == "urn:okr:problem:unknown-name"
    assert problem["pointer"] == f"query {noun}"
    assert known in problem["similar"]
    assert known in problem["detail"]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/key-results?palet=x", "/v1/key-results?Team=x", "/v1/okr-progress?status=on_track",
        "/v1/okr-progress?show=1", "/v1/publication?x=", "/v1/system-health?hour=3", "/v1/key-results/rtl?verbose=1",
        "/v1/key-results?limit=1&limit=2", "/models?all=1", "/health?x=1",
    ],
)  # fmt: skip
def test_an_unknown_or_repeated_parameter_is_an_error(api: Api, app_headers: dict[str, str], path: str) -> None:
    """Ignored, a misspelt filter gives everything and looks like an answer
    (https://github.com/Szotasz/marveen/issues/966, https://github.com/JSONbored/metagraphed/issues/9149,
    https://github.com/intuitem/ciso-assistant-community/issues/4701)."""
    answer = api.client.get(path, headers=app_headers)
    assert answer.status_code == 422, answer.text
    name = path.partition("?")[2].partition("=")[0]
    assert f"query {name}" in answer.json()["detail"]


def test_a_misspelt_key_result_id_is_not_found_and_similar_ids_are_suggested(
    api: Api, app_headers: dict[str, str]
) -> None:
    answer = api.client.get("/v1/key-results/markupp", headers=app_headers)
    assert answer.status_code == 404
    assert answer.json()["similar"] == ["markup"]


def test_a_filter_returns_only_matching_key_results(api: Api, app_headers: dict[str, str]) -> None:
    body = get(api, app_headers, "/v1/key-results?status=off_track&limit=1000")
    assert {one["status"] for one in body["key_results"]} == {"off_track"}
    team = body["key_results"][0]["team_name"]
    of_team = get(api, app_headers, f"/v1/key-results?team={quote(team)}")
    assert {one["team_name"] for one in of_team["key_results"]} == {team}


@pytest.mark.parametrize(("key_result_id", "title"), STRANGE.items())
def test_a_key_result_with_a_strange_name_is_found_by_its_id(
    api: Api, app_headers: dict[str, str], key_result_id: str, title: str
) -> None:
    found = get(api, app_headers, f"/v1/key-results/{quote(key_result_id, safe='')}")["key_result"]
    assert found["key_result_id"] == key_result_id
    assert found["title"] == title
    assert found["latest_value"] == 0.6
    assert found["progress_ratio"] == pytest.approx(0.06)


@pytest.mark.parametrize("path", ["/v1/key-results/none", "/v1/users/nobody/activity", "/v1/key-results/k%2F..%2F.."])
def test_an_unpublished_id_is_not_found(api: Api, app_headers: dict[str, str], path: str) -> None:
    answer = api.client.get(path, headers=app_headers)
    assert answer.status_code == 404
    assert answer.json()["type"] == "urn:okr:problem:not-found"


def test_progress_adds_up_to_the_key_results(api: Api, app_headers: dict[str, str]) -> None:
    teams = get(api, app_headers, "/v1/okr-progress")["teams"]
    counted = analyst(api.settings, "SELECT count(*), count(*) FILTER (WHERE is_closed) FROM marts.mart_okr_scorecard")
    assert (sum(t["key_result_count"] for t in teams), sum(t["closed_count"] for t in teams)) == counted[0]
    newest = teams[0]["cycle_name"]
    only = get(api, app_headers, f"/v1/okr-progress?cycle={newest}")["teams"]
    assert {team["cycle_name"] for team in only} == {newest}


def test_user_activity_has_counts_and_no_score(
    api: Api, app_headers: dict[str, str], organisation_events: list[EncodedEvent]
) -> None:
    payloads = (decode(event.topic, event.value, event.key).payload for event in good(organisation_events))
    user = next(one for one in payloads if isinstance(one, UserDefined))
    body = get(api, app_headers, f"/v1/users/{user.user_id}/activity?days=366")
    assert body["days"], "the simulated users look at pages"
    assert set(body["days"][0]) == {"day", "page_view_count", "check_in_count", "key_result_count"}
    days = [day["day"] for day in body["days"]]
    assert days == sorted(days, reverse=True)


def test_no_response_scores_a_person(api: Api) -> None:
    described = api.client.get("/openapi.json", headers=api.headers("app")).json()
    per_person = {
        path: operation["get"]["responses"]["200"]["content"]["application/json"]["schema"]["$ref"]
        for path, operation in described["paths"].items()
        if re.search("user|owner|person|employee", path) and not path.startswith("/admin/") and "get" in operation
    }
    assert set(per_person) == {
        "/v1/users", "/v1/user-activity", "/v1/users/{user_id}/activity", "/v1/users/{user_id}/definition",
    }  # fmt: skip
    schemas = described["components"]["schemas"]
    assert set(schemas["User"]["properties"]) == {
        "user_id", "name", "team_id", "team_name", "deactivated_at", "defined_at", "changed_at",
    }  # fmt: skip
    assert set(schemas["UserActivityDay"]["properties"]) == {
        "user_id", "day", "team_id", "page_view_count", "check_in_count", "key_result_count",
    }  # fmt: skip
    answer = schemas[per_person["/v1/users/{user_id}/activity"].rpartition("/")[2]]["properties"]
    assert set(answer) == {"publication_id", "data_as_of", "user_id", "days"}
    assert set(schemas["ActivityDay"]["properties"]) == {
        "day", "page_view_count", "check_in_count", "key_result_count",
    }  # fmt: skip
    score = re.compile("score|probability|ratio|rank|rating|confident|forecast|achieved")
    about_people = [
        name for name, schema in schemas.items() if {"user_id", "owner_user_id"} & set(schema.get("properties", ()))
    ]
    assert "ActivityResponse" in about_people
    for name in about_people:
        is_of_a_key_result = "key_result_id" in schemas[name]["properties"]
        assert is_of_a_key_result or not [each for each in schemas[name]["properties"] if score.search(each)], name


def test_the_publication_names_the_hold_on_a_newer_one(api: Api, app_headers: dict[str, str]) -> None:
    body = get(api, app_headers, "/v1/publication")
    assert set(body) == {
        "publication_id", "data_as_of", "published_at", "model_version", "held_since", "hold_reason",
    }  # fmt: skip
    assert (body["held_since"], body["hold_reason"]) == (None, None)
    report = {"accepted": False, "suites": [{"noun": "check_in", "rules": [
        {"name": "progress_is_plausible", "says": "a check-in stays near its key result", "passed": False,
         "advice": False, "acceptable": True, "error": None, "unexpected": 7, "examples": ["kr-1 at 900"]},
    ]}]}  # fmt: skip
    with connect(api.settings.require("dsn_owner")) as connection:
        (result,) = connection.execute(
            "INSERT INTO ops.gate_result (gate, run_id, passed, checked_rows, expectations, failed, report) "
            "VALUES ('raw', 'refused', false, 10, 1, 1, %s) RETURNING gate_result_id",
            [Jsonb(report)],
        ).fetchall()
    try:
        held = get(api, app_headers, "/v1/publication")
        check = health_of(api)["checks"]["publication"]
        api.log_in()
        page = api.client.get("/").text
    finally:
        with connect(api.settings.require("dsn_owner")) as connection:
            connection.execute("DELETE FROM ops.gate_result WHERE gate_result_id = %s", result)
    assert "check_in: progress_is_plausible: expected that a check-in stays near" in held["hold_reason"]
    assert (check["status"], check["hold_reason"]) == ("degraded", held["hold_reason"])
    assert "On hold since" in page
    assert "progress_is_plausible" in page
