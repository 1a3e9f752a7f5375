"""Two installations on one host in one real browser. Browsers send the cookies of a host to all of its ports."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page
from pydantic import SecretStr

from tests.databases import NewDatabase
from tests.serving.live_server import Api, serving

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def second_api(running_api: Api, new_database: NewDatabase, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """An installation with its own database and secret."""
    settings = running_api.settings
    with new_database() as database:
        own = {
            "state": tmp_path_factory.mktemp("second"), "dsn_serving": database.dsn_serving,
            "dsn_organisation": database.dsn_organisation,
            "jwt_secret": SecretStr("another secret of at least sixty-four characters " * 2),
        }  # fmt: skip
        with serving(settings.model_copy(update=own)) as second:
            yield second


def test_both_logins_last_in_one_browser(api: Api, second_api: Api, chromium: Browser) -> None:
    context = chromium.new_context()
    pages = [(context.new_page(), each) for each in (api, second_api)]
    for page, installation in pages:
        log_in(page, installation)
    for page, installation in pages:
        page.goto(f"{installation.client.base_url}/")
        assert not page.url.partition("?")[0].endswith("/login"), page.url
    cookies = {cookie["name"] for cookie in context.cookies() if cookie["name"].startswith("okr_session_")}
    assert len(cookies) == 2
    first, second = (page for page, _ in pages)
    first.get_by_role("button", name="Log out").click()
    first.wait_for_url("**/login*")
    second.reload()
    assert "/login" not in second.url, "the other installation's session goes on"
    context.close()


def log_in(page: Page, installation: Api) -> None:
    """Log in through the form."""
    page.goto(f"{installation.client.base_url}/login")
    page.get_by_label("User name").fill("lead")
    page.get_by_label("Password").fill(installation.settings.require("lead_password"))
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/")
