"""The pages in a real browser, on a laptop and on a phone. Screenshots are saved in SCREENSHOTS, if that is set."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.serving.browser_harness import SCREENS, is_problem, seen
from tests.serving.live_server import Api
from tests.serving.published_organisation import STRANGE

pytestmark = pytest.mark.browser


@pytest.fixture(params=SCREENS)
def page(request: pytest.FixtureRequest, chromium: Browser, api: Api) -> Iterator[Page]:
    """A page of one screen size, logged in through the form; any browser error fails the test."""
    width, height = SCREENS[request.param]
    context = chromium.new_context(viewport={"width": width, "height": height}, base_url=str(api.client.base_url))
    page, wrong = context.new_page(), []
    page.on("console", lambda message: wrong.append(message.text) if is_problem(message) else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", lambda dialog: (wrong.append(f"dialog {dialog.message}"), dialog.dismiss()))
    page.on(
        "request",
        lambda sent: None if sent.url.startswith((str(api.client.base_url), "data:")) else wrong.append(sent.url),
    )
    page.goto("/")
    page.get_by_label("User name").fill("lead")
    page.get_by_label("Password").fill(api.settings.require("lead_password"))
    page.get_by_role("button", name="Log in").click()
    yield page
    context.close()
    assert not wrong


def test_a_lead_sees_the_scorecard_and_opens_a_key_result(page: Page) -> None:
    page.get_by_role("heading", name="How the running cycle will end").wait_for()
    seen(page, "scorecard")
    page.locator(".forecasts h3 a").first.click()
    page.get_by_role("heading", name="Progress", exact=True).wait_for()
    assert page.locator("svg.chart").bounding_box() is not None
    seen(page, "key-result")


def test_strange_names_are_shown_as_they_are(page: Page) -> None:
    page.goto("/?show=500")
    for title in STRANGE.values():
        page.get_by_role("link", name=title.replace("\u202e", ""), exact=False).first.wait_for()
    seen(page, "scorecard-all")
    page.get_by_role("link", name=STRANGE["long"]).first.click()
    page.get_by_role("heading", name=STRANGE["long"]).wait_for()
    seen(page, "long-name")


def test_a_wrong_password_shows_an_error_in_the_form(page: Page) -> None:
    page.get_by_role("button", name="Log out").click()
    page.get_by_label("User name").fill("lead")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("alert").wait_for()
    seen(page, "login")


def test_the_api_documentation_opens_and_sends_requests(page: Page) -> None:
    page.goto("/docs")
    page.locator("#operations-predictor-predictor-predict").wait_for()
    assert page.locator(".opblock").count() >= 10
