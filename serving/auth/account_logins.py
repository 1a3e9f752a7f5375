"""The active logins of an account: sessions of browsers, and families of refresh tokens of apps."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from serving.auth.account_rules import check_changes
from serving.auth.accounts import Accounts
from serving.auth.actor import Actor
from serving.auth.audit_log import AuditLog, Event
from serving.auth.refresh_tokens import RefreshTokens
from serving.auth.sessions import Sessions


@dataclass(frozen=True)
class AccountLogin:
    """An active login. `session_id` cannot be used to log in. `client` is the browser's User-Agent; None for apps."""

    session_id: str
    kind: Literal["browser", "app"]
    started_at: datetime
    expires_at: datetime
    client: str | None


class AccountLogins:
    """Lists and ends the logins of accounts."""

    def __init__(self, accounts: Accounts, sessions: Sessions, refresh_tokens: RefreshTokens, audit: AuditLog) -> None:
        self._accounts = accounts
        self._sessions = sessions
        self._refresh_tokens = refresh_tokens
        self._audit = audit

    def listed(self, username: str) -> list[AccountLogin]:
        """Return the logins of an account, newest first.

        Raises:
            RetryableError: Redis or PostgreSQL is unavailable.
        """
        browsers = [
            AccountLogin(each.session_id, "browser", each.started_at, each.expires_at, each.client)
            for each in self._sessions.listed(username)
        ]
        apps = [
            AccountLogin(each.family, "app", each.logged_in_at, each.expires_at, None)
            for each in self._refresh_tokens.listed(username)
        ]
        return sorted([*browsers, *apps], key=lambda login: login.started_at, reverse=True)

    def end(self, username: str, session_id: str, actor: Actor) -> bool:
        """End a login. Return whether there was one.

        A session ends immediately. Every worker rejects the tokens of an app within 2 seconds.

        Raises:
            NotFound: there is no such account, or the actor may not see it.
            NotAllowed: the account has rights that the actor lacks.
            RetryableError: Redis or PostgreSQL is unavailable.
        """
        check_changes(actor, username, self._accounts.account(username))
        if "-" in session_id:  # the id of a family is a UUID
            return self._refresh_tokens.revoke(session_id, username, actor.address, actor.name)
        if not self._sessions.end(username, session_id):
            return False
        event = Event("logout", actor.name, username, address=actor.address, details={"session": session_id[:16]})
        self._audit.record(event)
        return True
