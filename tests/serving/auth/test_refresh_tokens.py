"""The used refresh tokens of a login are kept, to detect their reuse, but not without a bound."""

import psycopg
import pytest

from serving.auth import refresh_tokens
from serving.auth.auth_services import Auth
from tests.serving.auth.conftest import log_in, new_account
from tests.serving.auth.test_logins import refreshed
from tests.serving.live_server import Api


def test_the_oldest_used_refresh_tokens_of_a_login_are_deleted(
    api: Api, auth: Auth, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refresh_tokens, "MOST_USED", 3)
    new_account(auth, "often")
    used = [log_in(api, "often")["refresh_token"]]
    other = log_in(api, "often")["refresh_token"]
    for _ in range(6):
        used.append(refreshed(api, used[-1]).json()["refresh_token"])
    with psycopg.connect(api.settings.require("dsn_owner")) as connection:
        [(kept,)] = connection.execute("SELECT count(*) FROM auth.refresh_token WHERE username = 'often'")
    assert kept == 3 + 1 + 1, "those that were used, the newest one, and the one of the other login"
    assert refreshed(api, used[2]).status_code == 401, "it is unknown"
    assert refreshed(api, other).status_code == 200
    newest = refreshed(api, used[-1]).json()["refresh_token"]
    assert refreshed(api, used[-2]).status_code == 401, "it was used before, which ends the login"
    assert refreshed(api, newest).status_code == 401
