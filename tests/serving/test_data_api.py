"""The data API tells what the published marts say, and of which publication that is."""

from contextlib import closing
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import msgspec
import psycopg
import pytest

from ingestion.events import EncodedEvent, decode
from ingestion.state.realtime import RealtimeFigures, open_redis
from ingestion.state.store import StateStore
from lakehouse.contracts.page import PageViewed
from lakehouse.contracts.user import UserDefined
from lakehouse.settings import Settings
from lakehouse.warehouse import connect
from tests.serving.client import Api, serving
from tests.serving.marts import AS_OF, STRANGE, good


def analyst(settings: Settings, query: str) -> list[tuple[Any, ...]]:
    """Ask the marts as an analyst does."""
    with psycopg.connect(settings.require("dsn_analyst")) as connection:
        return connection.execute(query.encode()).fetchall()


def get(api: Api, headers: dict[str, str], path: str) -> dict[str, Any]:
    answer = api.client.get(path, headers=headers)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    assert body["publication_id"] == 1
    assert datetime.fromisoformat(body["data_as_of"]) <= AS_OF
    return body


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


def test_filters_keep_what_they_say(api: Api, app_headers: dict[str, str]) -> None:
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
def test_what_the_publication_does_not_hold_is_not_found(api: Api, app_headers: dict[str, str], path: str) -> None:
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


def test_activity_is_counts_of_a_user_and_no_score(
    api: Api, app_headers: dict[str, str], organisation_events: list[EncodedEvent]
) -> None:
    payloads = (decode(event.topic, event.value, event.key).payload for event in good(organisation_events))
    user = next(one for one in payloads if isinstance(one, UserDefined))
    body = get(api, app_headers, f"/v1/users/{user.user_id}/activity?days=366")
    assert body["days"], "the simulated users look at pages"
    assert set(body["days"][0]) == {"day", "page_view_count", "check_in_count", "key_result_count"}
    days = [day["day"] for day in body["days"]]
    assert days == sorted(days, reverse=True)


def test_no_answer_scores_a_person(api: Api) -> None:
    described = api.client.get("/openapi.json", headers=api.headers("app")).json()
    activity = described["components"]["schemas"]["ActivityDay"]["properties"]
    assert not [name for name in activity if "score" in name or "ratio" in name or "probability" in name]
    per_person = [path for path in described["paths"] if "user" in path]
    assert per_person == ["/v1/users/{user_id}/activity"]


def test_system_health_tells_hosts_by_the_hour(api: Api, app_headers: dict[str, str]) -> None:
    body = get(api, app_headers, "/v1/system-health?hours=168")
    assert {metric["metric"] for metric in body["host_metrics"]} >= {"cpu_busy", "memory_used"}
    assert body["pipeline_runs"] == []


def test_system_health_tells_what_happens_now_and_does_without_it(api: Api, app_headers: dict[str, str]) -> None:
    row = {
        "event_type": "okr.page.viewed.v1", "event_id": "e", "occurred_at": datetime.now(UTC),
        "data": msgspec.json.encode(PageViewed(user_id="looks", page="p")).decode(),
    }  # fmt: skip
    with (
        closing(open_redis(api.settings.require("redis_url"))) as redis,
        connect(api.settings.require("dsn_loader")) as connection,
    ):
        figures = RealtimeFigures(redis, "test-group", StateStore(connection, "cluster", "test-group"))
        figures.write({})  # the first one makes everything anew
        figures.note([row], progressed=False)
        figures.write({("topic", 0): 7})
    live = get(api, app_headers, "/v1/system-health")["live"]
    assert live["active_users"] >= 1
    assert live["check_ins_per_minute"] >= 0
    assert live["consumer_lag"]["test-group"] == 7
    assert live["progress_by_cycle"] == {}
    away = api.settings.model_copy(update={"redis_url": type(api.settings.redis_url)("redis://127.0.0.1:9/0")})
    with serving(away) as without:
        assert get(without, without.headers(), "/v1/system-health")["live"] is None


def test_the_publication_is_told(api: Api, app_headers: dict[str, str]) -> None:
    body = get(api, app_headers, "/v1/publication")
    assert set(body) == {"publication_id", "data_as_of", "published_at", "model_version"}
