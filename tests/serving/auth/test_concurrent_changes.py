"""Concurrent changes to accounts: none is undone by a change that was checked before it, and they do not deadlock."""

import threading
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from pydantic import SecretStr

from lakehouse.errors import OkrError
from serving.auth.assignment import Assignment
from serving.auth.auth_services import Auth
from serving.auth.known_clients import Client
from serving.auth.roles import Role
from serving.errors import NotSignedIn
from tests.serving.auth.conftest import OPERATOR, PASSWORD, log_in, new_account
from tests.serving.live_server import Api

ROUNDS = 12


def test_administrators_are_disabled_and_enabled_while_others_change(auth: Auth) -> None:
    changes = auth.account_changes
    first, second, other = (f"{name}-{uuid4().hex[:8]}" for name in ("a-admin", "z-admin", "viewer"))
    for username, role in ((first, Role.ADMIN), (second, Role.ADMIN), (other, Role.VIEWER)):
        new_account(auth, username, role, Assignment())
    failures: list[OkrError] = []

    def repeat(*calls: tuple[str, str]) -> None:
        for _ in range(ROUNDS):
            for method, username in calls:
                try:
                    getattr(changes, method)(username, OPERATOR)
                except OkrError as error:
                    failures.append(error)

    threads = [
        threading.Thread(target=repeat, args=calls)
        for calls in (
            [("disable", first), ("enable", first)],
            [("disable", second), ("enable", second)],
            [("log_out_everywhere", other)],
            [("log_out_everywhere", other)],
        )
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []


def then(monkeypatch: pytest.MonkeyPatch, owner: Any, method: str, change: Callable[[], object]) -> None:
    """Make a change once, immediately after a method has returned."""
    original = getattr(owner, method)

    def followed(*arguments: Any) -> Any:
        returned = original(*arguments)
        monkeypatch.setattr(owner, method, original)
        change()
        return returned

    monkeypatch.setattr(owner, method, followed)


@pytest.mark.parametrize("method", ["change_password", "disable", "log_out_everywhere"])
def test_an_administrators_change_is_not_undone_by_a_password_change_that_was_verified_before_it(
    auth: Auth, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    username = f"reset-{uuid4().hex[:8]}"
    new_account(auth, username)
    arguments = (username, "a new password 1", OPERATOR) if method == "change_password" else (username, OPERATOR)
    then(monkeypatch, auth.login, "_verified", lambda: getattr(auth.account_changes, method)(*arguments))
    with pytest.raises(NotSignedIn, match="changed in the meantime"):
        auth.login.change_password(username, PASSWORD, "the password of a thief", Client("192.0.2.1", None))
    stored = auth.accounts.find(username)
    assert stored is not None
    kept = "a new password 1" if method == "change_password" else PASSWORD
    assert auth.accounts._passwords.matches(kept, stored.password_hash)


def test_a_password_change_is_not_undone_by_a_start_that_read_the_account_before_it(
    api: Api, auth: Auth, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = api.settings.model_copy(update={"app_password": SecretStr("the app's new password")})
    chosen = "chosen in the meantime"
    # The password of the settings is hashed after the account was read.
    then(
        monkeypatch, auth.accounts._passwords, "hash",
        lambda: auth.account_changes.change_password("app", chosen, OPERATOR),
    )  # fmt: skip
    auth.accounts.seed(changed)
    assert log_in(api, "app", chosen)
    auth.accounts.seed(changed)
    auth.accounts.seed(api.settings)
