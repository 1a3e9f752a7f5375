"""Create, disable and change accounts. Each change is recorded in the audit log, and ends sessions and tokens.

API keys do not end with a password: they are revoked on their own, and are not valid while their account is disabled.
"""

import json
import re
import secrets
from dataclasses import dataclass, field
from typing import Any

from serving.auth.accounts import Account, account_of
from serving.auth.audit_log import AuditLog, Event
from serving.auth.passwords import Passwords
from serving.auth.revocations import Revocation, Revocations
from serving.auth.roles import Role
from serving.errors import InvalidAccount, NotFound
from serving.publication_reader import Connection, Reader, Warehouse

PACKAGE = "serving.auth"
SHORTEST_PASSWORD = 12
LONGEST_PASSWORD = 1024
GENERATED_BYTES = 18
LONGEST_ASSIGNMENT = 4_000  # characters as JSON, because access tokens contain it
_USERNAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}")
UNCHANGED: dict[str, Any] = {
    "password_hash": None, "role": None, "sets_assignment": False, "organisation_id": None, "user_id": None,
    "team_ids": None, "plan": None, "disables": None,
}  # fmt: skip


@dataclass(frozen=True)
class Assignment:
    """Where an account belongs: its organisation (None: the installation), its user, the teams it leads, its plan."""

    organisation_id: str | None = None
    user_id: str | None = None
    team_ids: tuple[str, ...] = field(default=())
    plan: str = "standard"

    def columns(self) -> dict[str, Any]:
        """Return the values of the columns."""
        return {
            "organisation_id": self.organisation_id,
            "user_id": self.user_id,
            "team_ids": list(self.team_ids),
            "plan": self.plan,
        }


@dataclass(frozen=True)
class Actor:
    """Who changes something: an account, or `os:<user>` for a command of this host, and the client's address."""

    name: str
    address: str | None = None


class AccountChanges:
    """Changes accounts. `actor` is who does it, for the audit log."""

    def __init__(self, warehouse: Warehouse, passwords: Passwords, audit: AuditLog, revocations: Revocations) -> None:
        self._warehouse = warehouse
        self._passwords = passwords
        self._audit = audit
        self._revocations = revocations

    def create(self, username: str, role: Role, password: str, assignment: Assignment, actor: Actor) -> Account:
        """Create an account.

        Raises:
            InvalidAccount: the user name is invalid or taken, the password is too weak, or there are too many teams.
        """
        if not _USERNAME.fullmatch(username):
            raise InvalidAccount(
                f"Invalid user name {username!r}: expected 1 to 128 ASCII letters, digits or . _ @ + -, and a letter "
                "or digit first.",
                "username",
            )
        check_password(username, password)
        _check_assignment(assignment)
        values = {"username": username, "role": role.value, "password_hash": self._passwords.hash(password)}
        with self._warehouse.connection() as connection:
            rows = Reader(connection).rows(PACKAGE, "insert_account", values | assignment.columns())
            if not rows:
                raise InvalidAccount(f"The user name {username!r} is taken.", "username")
            self._record(connection, "account.created", username, actor, _facts(role, assignment))
        return account_of(rows[0])

    def change_password(self, username: str, password: str, actor: Actor) -> Account:
        """Set a password. Every session and token of the account ends.

        Raises:
            InvalidAccount: the password is too weak.
            NotFound: there is no such account.
        """
        check_password(username, password)
        return self._change(username, "account.password_changed", actor, password_hash=self._passwords.hash(password))

    def change_role(self, username: str, role: Role, actor: Actor) -> Account:
        """Give the account another role.

        Raises:
            NotFound: there is no such account.
            InvalidAccount: it is the last one that administers the installation.
        """
        return self._change(username, "account.role_changed", actor, {"role": role.value}, role=role.value)

    def assign(self, username: str, assignment: Assignment, actor: Actor) -> Account:
        """Assign the account to another organisation, user, teams or plan.

        Raises:
            NotFound: there is no such account.
            InvalidAccount: it is the last one that administers the installation, or there are too many teams.
        """
        _check_assignment(assignment)
        facts = assignment.columns()
        return self._change(username, "account.assigned", actor, facts, sets_assignment=True, **assignment.columns())

    def disable(self, username: str, actor: Actor) -> Account:
        """Disable the account, also for its API keys.

        Raises:
            NotFound: there is no such account.
            InvalidAccount: it is the last one that administers the installation.
        """
        return self._change(username, "account.disabled", actor, disables=True)

    def enable(self, username: str, actor: Actor) -> Account:
        """Enable a disabled account. Its earlier sessions and tokens stay invalid.

        Raises:
            NotFound: there is no such account.
        """
        return self._change(username, "account.enabled", actor, disables=False)

    def log_out_everywhere(self, username: str, actor: Actor) -> Account:
        """End every session and token of the account.

        Raises:
            NotFound: there is no such account.
        """
        return self._change(username, "account.logged_out_everywhere", actor)

    def _change(
        self, username: str, action: str, actor: Actor, facts: dict[str, Any] | None = None, **changes: Any
    ) -> Account:
        with self._warehouse.connection() as connection:
            reader = Reader(connection)
            others = reader.rows(PACKAGE, "other_administrators", {"username": username})[0]["others"]
            before = reader.rows(PACKAGE, "account", {"username": username})
            if not before:
                raise NotFound(f"There is no account {username!r}.")
            rows = reader.rows(PACKAGE, "update_account", UNCHANGED | changes | {"username": username})
            account = account_of(rows[0])
            if not others and _administers(account_of(before[0])) and not _administers(account):
                raise InvalidAccount(
                    f"{username!r} is the last account that administers the installation. Create another first.",
                    "username",
                )
            self._record(connection, action, username, actor, facts or {})
        self._revocations.apply([Revocation("account", username, account.credential_version)])
        return account

    def _record(self, connection: Connection, action: str, username: str, actor: Actor, facts: dict[str, Any]) -> None:
        event = Event(action, actor.name, username, address=actor.address, details=facts)
        self._audit.record_in(connection, event)


def check_password(username: str, password: str) -> None:
    """Check that a new password is acceptable.

    Raises:
        InvalidAccount: it is too short, too long or the user name.
    """
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise InvalidAccount(
            f"A password must have {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters; this one has {len(password)}.",
            "password",
        )
    if username.casefold() in password.casefold() and len(password) < len(username) + SHORTEST_PASSWORD:
        raise InvalidAccount("The password must not consist of the user name.", "password")


def generated_password() -> str:
    """Return a random password."""
    return secrets.token_urlsafe(GENERATED_BYTES)


def _administers(account: Account) -> bool:
    return account.role is Role.ADMIN and account.organisation_id is None and account.disabled_at is None


def _check_assignment(assignment: Assignment) -> None:
    names = (assignment.organisation_id, assignment.user_id, assignment.plan, *assignment.team_ids)
    if len(json.dumps(names)) > LONGEST_ASSIGNMENT:
        raise InvalidAccount(
            f"The ids of the organisation, user and teams have more than {LONGEST_ASSIGNMENT} characters as JSON. An "
            "administrator of the organisation needs no teams.",
            "team_ids",
        )
    if "" in names:
        raise InvalidAccount("An id of an organisation, user or team is empty.", "team_ids")


def _facts(role: Role, assignment: Assignment) -> dict[str, Any]:
    return {"role": role.value, **assignment.columns()}
