"""The page of alerts in a real browser: with no alert, one, and two hundred; on a laptop and on a phone."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.serving.alerts.fake_alertmanager import SWITCH, FakeAlertmanager, current
from tests.serving.browser_harness import SCREENS, is_problem, seen
from tests.serving.live_server import Api

pytestmark = pytest.mark.browser
LONG = {
    "summary": "At the rate of the last 6 hours, the file system /var/lib/postgresql of db-1.internal.example.org is "
    "full within 24 hours; " + "a-text-without-a-space" * 10,
    "runbook": "docs/runbooks/host-disk-full-soon.md",
}


@pytest.fixture(params=SCREENS)
def page(request: pytest.FixtureRequest, chromium: Browser, asking: Api) -> Iterator[Page]:
    """A page of one screen size, with an administrator logged in; any browser error fails the test."""
    width, height = SCREENS[request.param]
    context = chromium.new_context(viewport={"width": width, "height": height}, base_url=str(asking.client.base_url))
    page, wrong = context.new_page(), []
    page.on("console", lambda message: wrong.append(message.text) if is_problem(message) else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto("/login?next=/alerts")
    page.get_by_label("User name").fill("admin")
    page.get_by_label("Password").fill(asking.settings.require("admin_password"))
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("link", name="Alerts").wait_for()
    yield page
    context.close()
    assert not wrong


def test_no_alert(page: Page, alertmanager: FakeAlertmanager) -> None:
    alertmanager.answer(SWITCH)
    page.get_by_role("link", name="Alerts").click()
    page.get_by_role("heading", name="No alert is firing").wait_for()
    assert page.get_by_role("table").count() == 0
    seen(page, "alerts-none")


def test_one_alert(page: Page, alertmanager: FakeAlertmanager) -> None:
    alertmanager.answer(SWITCH, current(7, "critical", annotations=LONG))
    page.goto("/alerts")
    page.get_by_role("heading", name="1 alert is firing").wait_for()
    link = page.get_by_role("link", name="Runbook of Alert0007")
    assert str(link.get_attribute("href")).endswith("/docs/runbooks/host-disk-full-soon.md")
    seen(page, "alerts-one")


def test_two_hundred_alerts(page: Page, alertmanager: FakeAlertmanager) -> None:
    silenced = {"status": {"state": "suppressed", "silencedBy": ["s"], "inhibitedBy": []}}
    alerts = [
        current(each, "warning" if each % 4 else "critical", **({} if each % 9 else silenced)) for each in range(200)
    ]
    alertmanager.answer(*alerts)
    page.goto("/alerts")
    page.get_by_role("heading", name="200 alerts are firing").wait_for()
    assert page.locator("tbody tr").count() == 200
    assert "dead man" in page.get_by_role("status").inner_text()
    seen(page, "alerts-200")


def test_while_alertmanager_is_away(page: Page, alertmanager: FakeAlertmanager) -> None:
    alertmanager.body = b"<html>"
    page.goto("/alerts")
    assert "does not respond" in page.get_by_role("status").inner_text()
    seen(page, "alerts-away")
