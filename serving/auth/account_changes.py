"""Create, disable and change accounts. Each change is recorded in the audit log, and ends sessions and tokens.

Changing a password does not end API keys. They are revoked separately, and are invalid while their account is disabled.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from serving.auth.account_rules import check_becomes, check_changes
from serving.auth.accounts import Account, account_of
from serving.auth.actor import Actor
from serving.auth.assignment import Assignment
from serving.auth.audit_log import AuditLog, Event
from serving.auth.passwords import Passwords, check_password
from serving.auth.revocations import Revocation, Revocations
from serving.auth.roles import Role
from serving.errors import Conflict, InvalidAccount, NotSignedIn
from serving.publication_reader import Connection, Reader, Warehouse

PACKAGE = "serving.auth"
ONE_TIME_S = 72 * 3600  # for which a one-time password can be replaced
_USERNAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}")
UNCHANGED: dict[str, Any] = {
    "password_hash": None, "one_time_s": None, "role": None, "sets_assignment": False, "organisation_id": None,
    "user_id": None, "team_ids": None, "plan": None, "disables": None, "verified_version": None,
}  # fmt: skip
Columns = dict[str, Any]


class AccountChanges:
    """Changes accounts. `actor` is who does it; the rules of `account_rules` apply to it."""

    def __init__(self, warehouse: Warehouse, passwords: Passwords, audit: AuditLog, revocations: Revocations) -> None:
        self._warehouse = warehouse
        self._passwords = passwords
        self._audit = audit
        self._revocations = revocations

    def create(  # noqa: PLR0913 -- the parts of an account
        self,
        username: str,
        role: Role,
        password: str,
        assignment: Assignment,
        actor: Actor,
        *,
        is_one_time: bool = False,
    ) -> Account:
        """Create an account. A one-time password cannot be used to log in, but only to choose another password.

        Raises:
            InvalidAccount: the user name or the plan is invalid, the password is too weak, or there are too many teams.
            NotAllowed: the actor may not create such an account.
            Conflict: the user name is taken.
        """
        if not _USERNAME.fullmatch(username):
            raise InvalidAccount(
                f"Invalid user name {username!r}: expected 1 to 128 ASCII letters, digits or . _ @ + -, and a letter "
                "or digit first.",
                "username",
            )
        check_password(username, password)
        assignment.check()
        check_becomes(actor, role, assignment)
        columns = {"role": role.value, **assignment.columns()}
        values = columns | {"username": username, "password_hash": self._passwords.hash(password)}
        values["one_time_s"] = ONE_TIME_S if is_one_time else None
        with self._warehouse.connection() as connection:
            _check_plan(connection, assignment.plan)
            rows = Reader(connection).rows(PACKAGE, "insert_account", values)
            if not rows:
                raise Conflict(f"The user name {username!r} is taken. Accounts cannot be deleted, only disabled.", [])
            facts = columns | {"has_one_time_password": is_one_time}
            self._record(connection, "account.created", username, actor, facts)
        return account_of(rows[0])

    def change_password(
        self,
        username: str,
        password: str,
        actor: Actor,
        *,
        is_one_time: bool = False,
        verified_version: int | None = None,
    ) -> Account:
        """Set a password. Every session and token of the account ends. Its API keys stay valid.

        `verified_version` is the account's credential version when its current password was verified; None if it was
        not.

        Raises:
            InvalidAccount: the password is too weak.
            NotSignedIn: the account was changed since it had `verified_version`.
            NotFound: there is no such account, or the actor may not see it.
            NotAllowed: the account has rights that the actor lacks.
        """
        check_password(username, password)
        columns = {
            "password_hash": self._passwords.hash(password), "one_time_s": ONE_TIME_S if is_one_time else None,
            "verified_version": verified_version,
        }  # fmt: skip
        return self._set(username, "account.password_changed", actor, columns, {"is_one_time": is_one_time})

    def change(self, username: str, fields: Mapping[str, Any], actor: Actor) -> Account:
        """Change the role of an account, or fields of its assignment. Its sessions and tokens end.

        If the fields have these values already, nothing is changed, and no session ends.

        Raises:
            InvalidAccount: it is the last account that administers the installation, the plan is unknown, or there are
                too many teams.
            NotFound: there is no such account, or the actor may not see it.
            NotAllowed: the actor may not change the account, or not in this way.
        """

        def columns_of(connection: Connection, before: Account) -> Columns:
            role = fields.get("role", before.role)
            others = {name: value for name, value in fields.items() if name != "role"}
            assignment = replace(Assignment.of(before), **others)
            assignment.check()
            check_becomes(actor, role, assignment, before.plan)
            if assignment.plan != before.plan:
                _check_plan(connection, assignment.plan)
            return {"role": role.value, **assignment.columns()}

        return self._change(username, "account.changed", actor, columns_of)

    def change_role(self, username: str, role: Role, actor: Actor) -> Account:
        """Give the account another role; raises the errors of `change`."""
        return self.change(username, {"role": role}, actor)

    def disable(self, username: str, actor: Actor) -> Account:
        """Disable the account and its API keys.

        Raises:
            NotFound: there is no such account, or the actor may not see it.
            NotAllowed: the account has rights that the actor lacks.
            InvalidAccount: it is the last one that administers the installation.
        """
        return self._set(username, "account.disabled", actor, {"disables": True})

    def enable(self, username: str, actor: Actor) -> Account:
        """Enable a disabled account. Its earlier sessions and tokens stay invalid.

        Raises:
            NotFound: there is no such account, or the actor may not see it.
            NotAllowed: the account has rights that the actor lacks.
        """
        return self._set(username, "account.enabled", actor, {"disables": False})

    def log_out_everywhere(self, username: str, actor: Actor) -> Account:
        """End every session and token of the account.

        Raises:
            NotFound: there is no such account, or the actor may not see it.
            NotAllowed: the account has rights that the actor lacks.
        """
        return self._set(username, "account.logged_out_everywhere", actor, {})

    def _set(
        self, username: str, action: str, actor: Actor, columns: Columns, facts: Mapping[str, Any] | None = None
    ) -> Account:
        return self._change(username, action, actor, lambda _connection, _before: columns, facts or {})

    def _change(
        self,
        username: str,
        action: str,
        actor: Actor,
        columns_of: Callable[[Connection, Account], Columns],
        facts: Mapping[str, Any] | None = None,
    ) -> Account:
        """Change the columns that `columns_of` returns. Without facts, record the differences, if there are any."""
        with self._warehouse.connection() as connection:
            reader = Reader(connection)
            reader.rows(PACKAGE, "account_change_lock", {})  # two changes must not remove the last administrators
            others = reader.rows(PACKAGE, "other_administrators", {"username": username})[0]["others"]
            rows = reader.rows(PACKAGE, "account_to_change", {"username": username})
            before = check_changes(actor, username, account_of(rows[0]) if rows else None)
            columns = columns_of(connection, before)
            if facts is None:
                facts = _differences(before, columns)
                if not facts:
                    return before
                columns = columns | {"sets_assignment": True}
            rows = reader.rows(PACKAGE, "update_account", UNCHANGED | columns | {"username": username})
            if not rows:  # the row is locked, so only its version can be another one
                raise NotSignedIn("Your account was changed in the meantime, so the password was not. Log in again.")
            account = account_of(rows[0])
            if not others and _administers(before) and not _administers(account):
                raise InvalidAccount(
                    f"{username!r} is the last account that administers the installation. Create another first.",
                    "username",
                )
            self._record(connection, action, username, actor, facts)
        self._revocations.apply([Revocation("account", username, account.credential_version)])
        return account

    def _record(
        self, connection: Connection, action: str, username: str, actor: Actor, facts: Mapping[str, Any]
    ) -> None:
        event = Event(action, actor.name, username, address=actor.address, details=facts)
        self._audit.record_in(connection, event)


def _administers(account: Account) -> bool:
    return account.role is Role.ADMIN and account.organisation_id is None and account.disabled_at is None


def _check_plan(connection: Connection, plan: str) -> None:
    known = [row["name"] for row in Reader(connection).rows(PACKAGE, "rate_plan_names")]
    if plan not in known:
        raise InvalidAccount(f"Unknown plan {plan!r}: expected {', '.join(known)}.", "plan")


def _differences(before: Account, columns: Columns) -> dict[str, Any]:
    """Return the values that change, and as `<name>_before` those that they replace."""
    known = {"role": before.role.value, **Assignment.of(before).columns()}
    changed = [name for name in known if columns[name] != known[name]]
    return {name: columns[name] for name in changed} | {f"{name}_before": known[name] for name in changed}
