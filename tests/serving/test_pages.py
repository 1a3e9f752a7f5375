"""The pages a lead opens: what is on them, who sees them, and that no name breaks them."""

from html import escape
from urllib.parse import quote

import pytest

from ingestion.contract_validation import EncodedEvent
from lakehouse.settings import Settings
from serving.auth.visibility import UNRESTRICTED
from serving.web.service import Scorecard
from serving.web.template_renderer import Pages
from tests.databases import NewDatabase
from tests.serving.live_server import Api, health_of, serving
from tests.serving.published_organisation import STRANGE, ended, publish

HTML = {"Accept": "text/html"}


def test_without_a_session_a_person_is_led_to_the_login_and_back(api: Api) -> None:
    answer = api.client.get("/key-results/rtl?x=1", headers=HTML)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/login?next=/key-results/rtl%3Fx%3D1"
    form = {"username": "lead", "password": api.settings.require("lead_password"), "next": "/key-results/rtl?x=1"}
    answer = api.client.post("/login", data=form)
    assert answer.headers["location"] == "/key-results/rtl?x=1"
    cookie = answer.headers["set-cookie"]
    assert all(word in cookie for word in ("HttpOnly", "SameSite=strict", "Path=/"))
    assert api.client.get("/key-results/rtl", headers=HTML).status_code == 200
    assert api.client.post("/logout").status_code == 303
    assert api.client.get("/", headers=HTML).status_code == 303


@pytest.mark.parametrize(
    "path", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "\t//x"]
)
def test_a_login_leads_nowhere_else(api: Api, path: str) -> None:
    form = {"username": "lead", "password": api.settings.require("lead_password"), "next": path}
    assert api.client.post("/login", data=form).headers["location"] == "/"
    assert "evil" not in api.client.get("/login", params={"next": path}).text


def test_a_form_posted_from_another_site_is_refused(api: Api) -> None:
    form = {"username": "lead", "password": api.settings.require("lead_password")}
    for path in ("/login", "/logout"):
        for origin in ("https://evil.example", "null", "http://127.0.0.1:1"):
            answer = api.client.post(path, data=form, headers={"Origin": origin})
            assert answer.status_code == 403
            assert "set-cookie" not in answer.headers


def test_a_failed_login_says_so_on_the_form_and_keeps_the_name_alone(api: Api) -> None:
    answer = api.client.post("/login", data={"username": "<b>lead", "password": "not-the-password"}, headers=HTML)
    assert answer.status_code == 401
    assert "Wrong user name or password" in answer.text
    assert "&lt;b&gt;lead" in answer.text
    assert "not-the-password" not in answer.text


def test_an_app_is_led_to_the_description_and_sees_no_page(api: Api) -> None:
    form = {"username": "app", "password": api.settings.require("app_password")}
    assert api.client.post("/login", data=form).headers["location"] == "/docs"
    assert api.client.get("/docs").status_code == 200
    answer = api.client.get("/", headers=HTML)
    assert answer.status_code == 403
    assert "may not see the scorecard" in answer.text


def test_the_scorecard_tells_what_will_be_missed_how_sure_and_why(api: Api) -> None:
    api.log_in()
    answer = api.client.get("/?show=500")
    assert answer.status_code == 200
    for told in (
        "How the running cycle will end",
        "Likely to be missed",
        "Final score",
        "Data as of",
        "Publication 1,",
    ):
        assert told in answer.text
    assert "okr_key_result_forecast, version 1 (champion)" in answer.text
    assert answer.text.count('class="line"') > 5, "sparklines are drawn"


def test_no_strange_name_breaks_a_page(api: Api) -> None:
    api.log_in()
    scorecard = api.client.get("/?show=500").text
    for key_result_id, title in STRANGE.items():
        address = f"/key-results/{quote(key_result_id, safe='')}"
        page = api.client.get(address)
        assert page.status_code == 200, page.text
        assert escape(title).replace("&#x27;", "&#39;").replace("&quot;", "&#34;") in page.text
        assert "<script>alert" not in page.text + scorecard
        assert "&lt;i&gt;%&lt;/i&gt;" in page.text, "the unit, too"
    assert "{{ 7 * 7 }} {% raw %} ${7*7}" in scorecard


def test_every_link_of_the_scorecard_leads_to_a_page(api: Api) -> None:
    api.log_in()
    page = api.client.get("/?show=500").text
    links = {part.partition('"')[0] for part in page.split('href="')[1:]} - {"#main", "/catalog/", "/quality/"}
    assert len([link for link in links if link.startswith("/key-results/")]) > 5
    for link in links:
        assert api.client.get(link).status_code == 200, link


def test_a_key_result_that_ended_tells_whether_the_forecast_came_true(api: Api) -> None:
    headers = api.headers("app")
    for status in ("achieved", "missed"):
        found = api.client.get(f"/v1/key-results?status={status}&limit=20", headers=headers).json()["key_results"]
        api.log_in()
        page = api.client.get(f"/key-results/{found[0]['key_result_id']}").text
        assert "Outcome" in page
        assert (">correct<" in page) + (">wrong<" in page) == 1


def test_a_forecast_by_a_model_that_learned_from_the_outcome_says_so(api: Api) -> None:
    headers = api.headers("app")
    cycles = api.client.get("/v1/okr-progress", headers=headers).json()["teams"]
    ended = sorted(
        {team["cycle_id"]: team["cycle_end"] for team in cycles if team["closed_count"]}.items(), key=lambda c: c[1]
    )
    api.log_in()
    flattered = []
    for cycle_id, _ in (ended[0], ended[-1]):
        listed = api.client.get(f"/v1/key-results?cycle={quote(cycle_id)}&status=achieved", headers=headers).json()
        page = api.client.get(f"/key-results/{listed['key_results'][0]['key_result_id']}").text
        flattered.append("so this comparison favours it" in page)
    assert flattered == [True, False], "the last cycle is forecast by the twin that never saw it"


@pytest.mark.parametrize("key_result_id", ["none", "%00", "..%2F..%2Flogin", "%FF", "a" * 5000])
def test_an_unknown_key_result_is_a_readable_page(api: Api, key_result_id: str) -> None:
    api.log_in()
    answer = api.client.get(f"/key-results/{key_result_id}", headers=HTML)
    assert answer.status_code == 404
    assert "no such key result" in answer.text


def test_before_the_first_publication_the_page_says_what_to_do(api: Api, fresh_database: Settings) -> None:
    empty = api.settings.model_copy(update={"dsn_serving": fresh_database.dsn_serving})
    with serving(empty) as beginning:
        beginning.log_in()
        page = beginning.client.get("/", headers=HTML)
        headers = beginning.headers("app")
        answers = [
            beginning.client.get("/v1/publication", headers=headers),
            beginning.client.get("/v1/okr-progress", headers=headers),
            beginning.client.post("/predict", json={"key_result_ids": ["k"]}, headers=headers),
        ]
        health = health_of(beginning)
    assert page.status_code == 200
    assert "make demo" in page.text
    assert [answer.status_code for answer in answers] == [503] * 3
    assert {answer.json()["type"] for answer in answers} == {"urn:okr:problem:not-published"}
    assert health["checks"]["publication"]["status"] == "degraded"


def test_a_history_without_an_open_key_result_shows_how_the_last_forecasts_turned_out(
    api: Api, new_database: NewDatabase, dbt_target: object, organisation_events: list[EncodedEvent]
) -> None:
    with new_database() as database:
        publish(database, ended(organisation_events), dbt_target)  # type: ignore[arg-type]
        with serving(api.settings.model_copy(update={"dsn_serving": database.dsn_serving})) as looking_back:
            looking_back.log_in()
            page = looking_back.client.get("/").text
    assert "How the last cycle ended" in page
    assert "Correct last forecasts" in page
    assert "trained without this cycle" in page
    assert "Likely to be missed" not in page


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/..%2Fapp.py",
        "/static/%2e%2e/routes.py",
        "/docs/assets/..%2F__init__.py",
        "/static/",
    ],
)
def test_assets_hold_nothing_but_assets(api: Api, path: str) -> None:
    assert api.client.get(path).status_code == 404


def test_the_description_needs_a_login_and_loads_nothing_from_elsewhere(api: Api) -> None:
    assert api.client.get("/docs").status_code == 401
    assert api.client.get("/openapi.json").status_code == 401
    api.log_in()
    page = api.client.get("/docs").text
    assert "http" not in page.replace("http-equiv", "")
    for asset in ("/docs/assets/swagger-ui-bundle.js", "/docs/assets/swagger-ui.css", "/static/docs.js"):
        assert api.client.get(asset).status_code == 200
    described = api.client.get("/openapi.json").json()
    assert described["openapi"].startswith("3.1")
    assert set(described["paths"]) >= {"/predict", "/models", "/models/{model_name}/load", "/health", "/v1/check-ins"}
    for path in described["paths"].values():
        for operation in path.values():
            described_errors = [each.get("content", {}) for each in operation["responses"].values()]
            assert any("application/problem+json" in content for content in described_errors)


def test_a_truncated_list_of_teams_says_how_many_there_are(api: Api) -> None:
    everything = api.services.scorecard.page(UNRESTRICTED)
    assert everything.team_count == len(everything.teams) > 2
    page = Scorecard(api.services.warehouses, api.services.prediction.predictor, teams_shown=2).page(UNRESTRICTED)
    assert (len(page.teams), page.team_count) == (2, everything.team_count)
    shown = {"path": "/", "max_shown": 1, "hold": None, "filters": ""}
    html = bytes(Pages().render("scorecard.html", page=page, **shown).body).decode()
    assert f"2 of {page.team_count} rows are shown" in html
    assert "rows are shown" not in bytes(Pages().render("scorecard.html", page=everything, **shown).body).decode()
