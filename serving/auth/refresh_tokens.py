"""Refresh tokens: each is exchanged once for the next one. A second use of a token revokes all tokens of its login.

The thief and the owner of a stolen token both try to use it, so the second use reveals the theft.
"""

import hashlib
import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from serving.auth.accounts import Account, find_in
from serving.auth.audit_log import AuditLog, Event
from serving.auth.revocations import Revocation, Revocations, revoke
from serving.errors import NotSignedIn
from serving.publication_reader import Connection, Reader, Row, Warehouse

PACKAGE = "serving.auth"
PREFIX = "okr_rt_"
SECRET_BYTES = 32
LIFE_S = 7 * 24 * 3600
FAMILY_LIFE_S = 30 * 24 * 3600
MOST_USED = 1_000  # used tokens of a login that are kept; an app that needs one every 15 minutes uses 672 in 7 days
INVALID = "The refresh token is invalid or has expired; log in again with POST /auth/token."


@dataclass(frozen=True)
class RefreshToken:
    """A new token, the id of its family, and the seconds until it expires."""

    text: str
    family: str
    expires_in_s: int


@dataclass(frozen=True)
class Family:
    """A login by an app that can still be refreshed."""

    family: str
    logged_in_at: datetime
    refreshed_at: datetime
    expires_at: datetime


class RefreshTokens:
    """The tokens in auth.refresh_token."""

    def __init__(self, warehouse: Warehouse, audit: AuditLog, revocations: Revocations) -> None:
        self._warehouse = warehouse
        self._audit = audit
        self._revocations = revocations

    def first(self, account: Account) -> RefreshToken:
        """Return the first token of a login.

        Raises:
            RetryableError: PostgreSQL is unavailable.
        """
        values = {"family_id": uuid.uuid4(), "username": account.username, "version": account.credential_version}
        with self._warehouse.connection() as connection:
            return _issue(connection, values | {"logged_in_at": None})

    def exchange(self, text: str, address: str, pay: Callable[[Account], None]) -> tuple[Account, RefreshToken]:
        """Return the account of a token and the next token of its family. If `pay` raises, the token stays usable.

        Raises:
            NotSignedIn: the token is unknown, expired or revoked, or it was used before, which revokes its family.
            RetryableError: PostgreSQL is unavailable; the token was not used.
        """
        token = {"token_hash": _hash(text)}
        with self._warehouse.connection() as connection:
            reader = Reader(connection)
            known = reader.rows(PACKAGE, "refresh_token", token)
            if not known:
                raise NotSignedIn(INVALID)
            reader.rows(PACKAGE, "refresh_family_lock", known[0])
            used = reader.rows(PACKAGE, "use_refresh_token", token)
            if used:
                return self._next(connection, used[0], pay)
            known = reader.rows(PACKAGE, "refresh_token", token)
            is_reused = bool(known) and known[0]["used_at"] is not None and known[0]["revoked_at"] is None
            if is_reused:
                self._revoke(connection, known[0], "token.reused", known[0]["username"], address)
        if is_reused:
            self._revocations.apply([Revocation("family", str(known[0]["family_id"]))])
        raise NotSignedIn(INVALID)

    @staticmethod
    def _next(connection: Connection, used: Row, pay: Callable[[Account], None]) -> tuple[Account, RefreshToken]:
        stored = find_in(connection, used["username"])
        account = stored.account if stored else None
        if account is None or account.disabled_at or account.credential_version != used["credential_version"]:
            raise NotSignedIn(INVALID)
        pay(account)
        old = {"family_id": used["family_id"], "most": MOST_USED}
        Reader(connection).rows(PACKAGE, "delete_used_refresh_tokens", old)
        return account, _issue(connection, _next_of(used))

    def revoke(self, family: str, username: str, address: str | None, actor: str | None = None) -> bool:
        """End a login. Its refresh tokens and access tokens are no longer valid. Return whether there was one."""
        with self._warehouse.connection() as connection:
            rows = Reader(connection).rows(PACKAGE, "refresh_family", {"family_id": family, "username": username})
            if not rows:
                return False
            Reader(connection).rows(PACKAGE, "refresh_family_lock", rows[0])
            self._revoke(connection, rows[0], "logout", actor or username, address, outcome="success")
        self._revocations.apply([Revocation("family", family)])
        return True

    def listed(self, username: str) -> list[Family]:
        """Return the logins of an account that can still be refreshed, newest first."""
        with self._warehouse.connection() as connection:
            rows = Reader(connection).rows(PACKAGE, "refresh_families", {"username": username})
        return [
            Family(str(row["family_id"]), row["logged_in_at"], row["refreshed_at"], row["expires_at"]) for row in rows
        ]

    def _revoke(  # noqa: PLR0913, PLR0917 -- the fields of the audit event
        self, connection: Connection, row: Row, action: str, actor: str, address: str | None,
        outcome: Any = "failure",
    ) -> None:  # fmt: skip
        family = str(row["family_id"])
        Reader(connection).rows(PACKAGE, "revoke_refresh_family", {"family_id": row["family_id"]})
        revoke(connection, Revocation("family", family))
        event = Event(action, actor, row["username"], outcome, address, {"token_family": family})
        self._audit.record_in(connection, event)


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()


def _next_of(row: Row) -> dict[str, Any]:
    names = ("family_id", "username", "logged_in_at")
    return {name: row[name] for name in names} | {"version": row["credential_version"]}


def _issue(connection: Connection, values: dict[str, Any]) -> RefreshToken:
    text = PREFIX + secrets.token_urlsafe(SECRET_BYTES)
    lives = {"life_s": LIFE_S, "family_life_s": FAMILY_LIFE_S}
    [row] = Reader(connection).rows(PACKAGE, "insert_refresh_token", values | lives | {"token_hash": _hash(text)})
    return RefreshToken(text, str(row["family_id"]), max(int(row["expires_in_s"]), 0))
