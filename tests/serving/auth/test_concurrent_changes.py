"""Concurrent changes to accounts do not deadlock. Schemathesis found a deadlock."""

import threading
from uuid import uuid4

from lakehouse.errors import OkrError
from serving.auth.assignment import Assignment
from serving.auth.auth_services import Auth
from serving.auth.roles import Role
from tests.serving.auth.conftest import OPERATOR, new_account

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
