"""What is archived, carried over or never closed, and teams of one name: API and page."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.databases import NewDatabase
from tests.serving.browser_harness import SCREENS, seen
from tests.serving.ended_cycles_story import story
from tests.serving.live_server import Api, serving
from tests.serving.published_organisation import publish


@pytest.fixture(scope="module")
def ending(running_api: Api, new_database: NewDatabase, dbt_target: Path) -> Iterator[Api]:
    with new_database() as database:
        publish(database, story(), dbt_target)
        with serving(running_api.settings.model_copy(update={"dsn_serving": database.dsn_serving})) as api:
            yield api


def get(api: Api, path: str) -> dict[str, Any]:
    answer = api.client.get(path, headers=api.headers())
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def listed(api: Api, query: str = "") -> dict[tuple[str, str], dict[str, Any]]:
    found = get(api, f"/v1/key-results{query}")["key_results"]
    return {(one["key_result_id"], one["cycle_name"]): one for one in found}


def page(api: Api, path: str = "/") -> str:
    api.log_in()
    answer = api.client.get(path, headers={"Accept": "text/html"})
    assert answer.status_code == 200, answer.text
    return answer.text


def test_each_key_result_is_listed_once_and_per_cycle_where_cycles_are_asked_for(ending: Api) -> None:
    assert set(listed(ending)) == {
        ("carried", "Q4"), ("close", "Q4"), ("over", "Q3"), ("second", "Q4"), ("silent", "Q4"),
        ("unclosed", "Q4"), ("next", "Q1"),
    }  # fmt: skip
    in_q3 = listed(ending, "?cycle=Q3")
    assert {name for name, _ in in_q3} == {"carried", "over", "unclosed"}
    assert in_q3["carried", "Q3"]["status"] == "achieved"
    assert in_q3["carried", "Q3"]["final_score"] == pytest.approx(0.8, abs=1e-4)
    both = listed(ending, "?cycle=Q3&cycle=c-Q4")
    assert {("carried", "Q3"), ("carried", "Q4")} <= set(both)
    paged, cursor = [], ""
    while cursor is not None:
        body = get(ending, f"/v1/key-results?cycle=Q3&cycle=Q4&limit=1{cursor and f'&cursor={cursor}'}")
        paged += [(one["key_result_id"], one["cycle_name"]) for one in body["key_results"]]
        cursor = body["next_cursor"]
    assert sorted(paged) == sorted(both), "a page may end between two cycles of one key result"


def test_archived_ones_are_found_where_they_are_asked_for(ending: Api) -> None:
    for query in ("?status=archived", "?archived=true&team=t-1"):
        assert listed(ending, query)["archived", "Q4"]["archived_reason"] == "key_result"
    (item,) = predict(ending, "archived")
    assert item["status"] == "archived"
    home = page(ending)
    assert "About archived" not in home
    assert "1 archived key result is not counted here" in home
    assert "About archived" in page(ending, "/?archived=true")
    assert "Archived key results are not forecast" in page(ending, "/key-results/archived")


def predict(api: Api, *ids: str) -> list[dict[str, Any]]:
    answer = api.client.post("/predict", json={"key_result_ids": list(ids)}, headers=api.headers())
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["predictions"]
    return items


def test_what_is_carried_over_keeps_its_outcome_and_is_forecast_in_its_new_cycle(ending: Api) -> None:
    body = get(ending, "/v1/key-results/carried")
    assert (body["key_result"]["cycle_name"], body["key_result"]["is_closed"]) == ("Q4", False)
    assert [(one["cycle_name"], one["status"]) for one in body["cycles"]][1] == ("Q3", "achieved")
    (item,) = predict(ending, "carried")
    assert (item["status"], item["cycle_id"]) == ("forecast", "c-Q4")
    home = page(ending, "/?show=500")
    assert "Carried over from <bdi>Q3</bdi>, where it ended at 0.80 (achieved)" in home
    assert "?cycle=c-Q3" in page(ending, "/key-results/carried")
    before = page(ending, "/key-results/carried?cycle=Q3")
    assert "Outcome" in before
    assert "0.80" in before


def test_what_is_over_says_what_is_missing_and_is_not_forecast(ending: Api) -> None:
    missing = get(ending, "/v1/key-results/over")["key_result"]["missing_to_close"]
    assert missing.startswith("Its cycle ended on 2026-09-30. A closing check-in is missing")
    assert "99.996 of 99.999 eur" in missing
    (item,) = predict(ending, "over")
    assert (item["status"], item["probability"]) == ("awaiting_close", None)
    assert missing in item["detail"]
    home = page(ending)
    assert "Ended, not closed" in home
    assert "About over" in home
    own = page(ending, "/key-results/over")
    assert "A closing check-in is missing" in own
    assert "chance that the final score" not in own
    assert get(ending, "/v1/key-results/close")["key_result"]["missing_to_close"] is None


def test_what_was_carried_over_unclosed_is_counted_and_listed_in_the_cycle_that_it_left(ending: Api) -> None:
    teams = get(ending, "/v1/okr-progress?cycle=Q3")["teams"]
    assert sum(team["awaiting_close_count"] for team in teams) == 2
    assert len(listed(ending, "?cycle=Q3&status=awaiting_close")) == 2
    home = page(ending)
    assert "2 key results need a closing check-in" in home
    assert 'href="/key-results/unclosed?cycle=c-Q3"' in home
    assert 'href="/key-results/over"' in home
    there = page(ending, "/key-results/unclosed?cycle=c-Q3")
    assert "carried over without a closing check-in" in there


def test_a_cycle_that_is_still_to_begin_is_shown_as_such_and_lists_no_other_cycle(ending: Api) -> None:
    ahead = page(ending, "/?cycle=Q1")
    assert "A cycle that has not started yet" in ahead
    assert "Ended, not closed" not in ahead
    assert "mean final score" not in ahead
    assert "Ended, not closed" in page(ending, "/?cycle=Q3")


def test_the_counts_of_a_team_add_up_to_its_key_results(ending: Api) -> None:
    for team in get(ending, "/v1/okr-progress")["teams"]:
        counts = [
            team[name] for name in team if name.endswith("_count") and name not in {"key_result_count", "closed_count"}
        ]
        assert sum(counts) == team["key_result_count"]


def test_a_value_just_below_its_target_does_not_read_like_it(ending: Api) -> None:
    own = page(ending, "/key-results/close")
    assert "<dd>99.999 eur</dd>" in own
    assert "<dd>99.996 eur</dd>" in own
    assert "<dt>Progress</dt><dd>100%</dd>" not in own


def test_teams_of_one_name_are_distinguished(ending: Api) -> None:
    teams = {one["team_id"]: one for one in get(ending, "/v1/okr-progress?team=Payments&cycle=Q4")["teams"]}
    assert set(teams) == {"t-1", "t-2"}
    labels = {one["team_label"] for one in teams.values()}
    assert len(labels) == 2
    home = page(ending)
    assert all(label in home for label in labels)
    assert {name for name, _ in listed(ending, "?team=t-2")} == {"over", "second", "unclosed"}
    only = page(ending, "/?team=t-2&show=500")
    assert "About second" in only
    assert "About carried" not in only


def test_a_team_without_a_check_in_expects_nothing(ending: Api) -> None:
    home = page(ending)
    row = home[home.rindex(">Silent<") :]
    assert "no check-ins" in row[: row.index("</tr>")]
    assert "no check-ins" not in page(ending, "/?team=t-2")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/?cycle=zz", "has no cycle with the id or name &#39;zz&#39;"), ("/?team=Paymints", "Payments"),
        ("/?cicle=Q3", "Did you mean cycle?"), ("/key-results/carried?cycle=Q9", "Q3"),
        ("/key-results/carriet", "carried"),
        ("/?team=zz", "No known name is similar."), ("/key-results/zz", "No known name is similar."),
    ],
)  # fmt: skip
def test_a_page_for_an_unknown_name_suggests_similar_names(ending: Api, path: str, expected: str) -> None:
    ending.log_in()
    answer = ending.client.get(path, headers={"Accept": "text/html"})
    assert answer.status_code in {404, 422}
    assert expected in answer.text


def test_a_past_cycle_is_shown_where_it_is_asked_for(ending: Api) -> None:
    past = page(ending, "/?cycle=Q3")
    assert "How this cycle ended" in past
    assert "1 Jul 2026 to 30 Sep 2026" in past
    assert "Likely to be missed" not in past
    assert "1 Jul 2026 to 31 Dec 2026" in page(ending, "/?cycle=Q3&cycle=Q4")


def test_a_check_in_of_what_is_over_says_that_it_should_be_closing(ending: Api) -> None:
    body = {"key_result_id": "over", "value": 99.0}
    answer = ending.client.post("/v1/check-ins", json=body, headers=ending.headers())
    assert [each["code"] for each in answer.json()["warnings"]] == ["cycle_is_over"]
    closing = ending.client.post("/v1/check-ins", json={**body, "is_final": True}, headers=ending.headers())
    assert closing.json()["warnings"] == []
    archived = ending.client.post(
        "/v1/check-ins", json={"key_result_id": "archived", "value": 1.0}, headers=ending.headers()
    )
    assert [each["code"] for each in archived.json()["warnings"]] == ["archived"]


@pytest.mark.browser
@pytest.mark.parametrize("screen", SCREENS)
def test_the_pages_of_what_ended_fit_the_screen(ending: Api, chromium: Browser, screen: str) -> None:
    width, height = SCREENS[screen]
    context = chromium.new_context(viewport={"width": width, "height": height}, base_url=str(ending.client.base_url))
    tab = context.new_page()
    tab.goto("/")
    tab.get_by_label("User name").fill("lead")
    tab.get_by_label("Password").fill(ending.settings.require("lead_password"))
    tab.get_by_role("button", name="Log in").click()
    for path, heading, name in (
        ("/?show=500&archived=true", "Ended, not closed", "endings"),
        ("/?cycle=Q3", "How this cycle ended", "past-cycle"),
        ("/key-results/carried", "Cycles", "carried"),
        ("/key-results/over", "Ended, not closed", "over"),
        ("/?cycle=zz", "Unknown name", "unknown"),
    ):
        tab.goto(path)
        tab.get_by_role("heading", name=heading).wait_for()
        seen(tab, name)
    context.close()
