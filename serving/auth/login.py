"""Verify a user name and a password, or replace the password of an account. This module does not use FastAPI."""

from datetime import UTC, datetime

from serving.auth.account_changes import AccountChanges
from serving.auth.accounts import Account, Accounts
from serving.auth.actor import Actor
from serving.auth.audit_chain import Details
from serving.auth.audit_log import AuditLog, Event
from serving.auth.known_clients import Client, KnownClients
from serving.auth.login_limit import LoginLimit
from serving.auth.passwords import Passwords, check_password
from serving.errors import InvalidAccount, NotSignedIn, PasswordChangeRequired
from serving.publication_reader import Warehouse

UNKNOWN_ACCOUNT = "(unknown account)"  # not the name that was sent, because people enter passwords there by mistake


class Login:
    """Verifies logins, limits failures and records both."""

    def __init__(  # noqa: PLR0913, PLR0917 -- the parts of a login
        self,
        warehouse: Warehouse,
        accounts: Accounts,
        passwords: Passwords,
        changes: AccountChanges,
        limit: LoginLimit,
        known_clients: KnownClients,
        audit: AuditLog,
    ) -> None:
        self._warehouse = warehouse
        self._accounts = accounts
        self._passwords = passwords
        self._changes = changes
        self._limit = limit
        self._known_clients = known_clients
        self._audit = audit

    def verify(self, username: str, password: str, client: Client) -> Account:
        """Return the account of a user name and a password.

        Raises:
            NotSignedIn: the user name or the password is wrong (the message does not say which), or the account is
                disabled.
            PasswordChangeRequired: the password is a one-time password.
            TooManyAttempts: too many logins failed recently.
            RetryableError: PostgreSQL is unavailable, or too many logins are waiting.
        """
        account = self._verified(username, password, client)
        if account.password_expires_at is not None:
            self._record_failure("one-time password", account.username, client)
            raise PasswordChangeRequired(
                "This is a one-time password. Choose a password of your own with it: POST /auth/password, or the page "
                "/password."
            )
        with self._warehouse.connection() as connection:
            self._known_clients.remember_in(connection, account.username, client.address)
            event = Event("login", account.username, account.username, "success", client.address)
            self._audit.record_in(connection, event)
        return account

    def change_password(self, username: str, password: str, new_password: str, client: Client) -> Account:
        """Replace the password of an account, which may be a one-time password. All of its sessions and tokens end.

        Raises:
            InvalidAccount: the new password is too weak, or is the same as the current one.
            NotSignedIn: as in `verify`, or the account was changed after its password was verified, for example by an
                administrator who gave it another password.
            TooManyAttempts, RetryableError: as in `verify`.
        """
        check_password(username, new_password, "new_password")
        account = self._verified(username, password, client)
        if new_password == password:
            raise InvalidAccount("The new password is the same as the current one.", "new_password")
        actor, version = Actor(account.username, client.address), account.credential_version
        try:
            return self._changes.change_password(account.username, new_password, actor, verified_version=version)
        except NotSignedIn:
            self._record_failure("account changed in the meantime", account.username, client)
            raise

    def _verified(self, username: str, password: str, client: Client) -> Account:
        stored = self._accounts.find(username)
        known = None if stored is None else stored.account
        self._limit.check(username, known, client)
        is_right = self._passwords.matches(password, stored.password_hash if stored else None)
        if stored is None or not is_right:
            is_limit_reached = self._limit.record(username, known, client)
            subject = stored.account.username if stored else UNKNOWN_ACCOUNT
            self._record_failure("wrong password", subject, client, is_limit_reached=is_limit_reached)
            raise NotSignedIn("Wrong user name or password.")
        account = stored.account
        if account.disabled_at is not None:
            self._record_failure("account disabled", account.username, client)
            raise NotSignedIn("This account is disabled. An administrator can enable it.")
        if account.password_expires_at is not None and account.password_expires_at < datetime.now(UTC):
            self._record_failure("one-time password expired", account.username, client)
            raise NotSignedIn("This one-time password has expired. An administrator can give you another one.")
        return account

    def _record_failure(self, reason: str, subject: str, client: Client, *, is_limit_reached: bool = False) -> None:
        details: Details = {"reason": reason, "limit_reached": is_limit_reached}
        self._audit.record(Event("login", subject, subject, "failure", client.address, details))
