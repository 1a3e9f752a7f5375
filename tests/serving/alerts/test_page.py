"""The page /alerts: what fires, where that is known from, and who may see it."""

import pytest

from infra.local.ports import choose
from serving.alerts.firing import SHOWN, Alerts
from serving.web.alerts_page import runbook_link
from serving.web.formatting import moment
from tests.serving.alerts.fake_alertmanager import RUNBOOKS, SWITCH, FakeAlertmanager, current
from tests.serving.live_server import Api

HTML = {"Accept": "text/html"}


def shown(api: Api) -> str:
    answer = api.client.get("/alerts", headers=HTML)
    assert answer.status_code == 200, answer.text
    return answer.text


def test_without_an_alert_the_page_says_so_and_that_alerting_works(asking: Api, alertmanager: FakeAlertmanager) -> None:
    alertmanager.answer(SWITCH)
    page = shown(asking)
    assert "No alert is firing" in page
    assert "From Alertmanager" in page
    assert "dead man" not in page
    assert "<table" not in page


def test_an_alert_is_shown_with_its_start_and_its_runbook(asking: Api, alertmanager: FakeAlertmanager) -> None:
    silenced = current(2, status={"state": "suppressed", "silencedBy": ["x"], "inhibitedBy": []})
    alertmanager.answer(SWITCH, silenced, current(115, "critical"))
    page = shown(asking)
    assert "2 alerts are firing" in page
    assert "&lt;b&gt;Thing 115&lt;/b&gt; is at 93 %." in page
    assert "2 hours" in page
    assert f'href="{RUNBOOKS}/docs/runbooks/api-down.md"' in page
    assert page.index("Alert0115") < page.index("Alert0002"), "critical ones come first"
    assert page.count(">silenced<") == 1


def test_a_missing_dead_mans_switch_is_reported(asking: Api, alertmanager: FakeAlertmanager) -> None:
    alertmanager.answer()
    assert "dead man" in shown(asking)


def test_a_storm_is_cut_and_counted(asking: Api, alertmanager: FakeAlertmanager) -> None:
    alertmanager.answer(*(current(number) for number in range(SHOWN + 100)), current(900, "critical"))
    page = shown(asking)
    assert f"Shown are {SHOWN} of {SHOWN + 101}" in page
    assert page.count("<tr>") == SHOWN + 1
    assert "Alert0900" in page, "the critical one is shown"


@pytest.mark.parametrize("body", [b"<html>", b"{}", b"[1]", b'[{"labels": {}}]', b'[{"labels": {}, "startsAt": "x"}]'])
def test_another_program_at_the_address_is_not_taken_for_alertmanager(
    asking: Api, alertmanager: FakeAlertmanager, body: bytes
) -> None:
    alertmanager.body = body
    page = shown(asking)
    assert "does not respond" in page
    assert "recorded at" in page


def test_while_alertmanager_is_away_the_recorded_alerts_are_shown_with_their_age(api: Api) -> None:
    settings = api.settings.model_copy(update={"alertmanager_url": f"http://127.0.0.1:{choose(set())}"})
    found = Alerts(settings, api.services.warehouse).firing()
    assert "does not respond (ConnectError)" in found.problem
    assert found.as_of is not None
    assert [(each.alert, each.severity, each.service) for each in found.alerts] == [("ApiDown", "critical", "api")]
    assert found.count == 1, "the resolved one does not fire"


def test_without_the_setting_the_page_says_so(api: Api) -> None:
    api.log_in("admin")
    page = shown(api)
    assert "OKR_ALERTMANAGER_URL is not set" in page
    assert f"recorded at {moment(api.services.data.publication().data_as_of)}" in page
    assert "1 recorded alert<" in page
    assert "<code>docs/runbooks/api-down.md</code>" in page, "without OKR_RUNBOOKS_URL, the path is shown"


def test_only_operators_see_the_page(api: Api) -> None:
    api.log_in("lead")
    answer = api.client.get("/alerts", headers=HTML)
    assert answer.status_code == 403
    assert "/alerts" not in api.client.get("/", headers=HTML).text.partition("<main")[0], "no link in the navigation"
    api.client.cookies.clear()
    assert api.client.get("/alerts", headers=HTML).headers["location"] == "/login?next=/alerts"


def test_links_lead_only_to_pages() -> None:
    assert runbook_link("https://x.example/r", "") == "https://x.example/r"
    assert runbook_link("javascript:alert(1)", "") is None
    assert runbook_link("javascript:alert(1)", RUNBOOKS) == f"{RUNBOOKS}/javascript%3Aalert%281%29"
    assert runbook_link("docs/runbooks/a.md", RUNBOOKS + "/") == f"{RUNBOOKS}/docs/runbooks/a.md"
