"""API keys: `okr_<prefix>_<secret>`. The prefix is public; only a hash of the secret is stored."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from lakehouse.contracts.allowed_characters import fault_of_name
from lakehouse.errors import NotPossible
from serving.auth.account_rules import check_changes, sees
from serving.auth.accounts import account_of
from serving.auth.actor import Actor
from serving.auth.api_key_usage import ApiKeyUsage
from serving.auth.audit_log import AuditLog, Event
from serving.auth.revocations import Revocation, Revocations, revoke
from serving.auth.roles import SCOPES, Identity
from serving.errors import Conflict, InvalidAccount, NotFound, NotSignedIn
from serving.publication_reader import Connection, Reader, Row
from serving.warehouses import Warehouses

PACKAGE = "serving.auth"
START = "okr_"
PREFIX_BYTES, SECRET_BYTES = 6, 32
_KEY = re.compile(r"okr_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
OVERLAP = timedelta(hours=24)
MAX_VALID_KEYS = 50  # of an account: each has a separate rate limit
LONGEST_NAME = 200
INVALID = "The API key is unknown, expired or revoked."


@dataclass(frozen=True)
class ApiKey:
    """A key without its secret."""

    prefix: str
    username: str
    name: str
    scopes: tuple[str, ...]
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    replaced_by: str | None

    def is_valid(self) -> bool:
        """Return whether the key is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > datetime.now(UTC))


@dataclass(frozen=True)
class NewApiKey:
    """A new key. `text` is the whole key, which is shown once and cannot be read again."""

    text: str
    key: ApiKey


@dataclass(frozen=True)
class VerifiedKey:
    """The identity of a valid key, and when the key expires."""

    identity: Identity
    expires_at: datetime | None


class ApiKeys:
    """The keys in auth.api_key."""

    def __init__(self, warehouses: Warehouses, audit: AuditLog, revocations: Revocations, usage: ApiKeyUsage) -> None:
        self._warehouses = warehouses
        self._warehouse = warehouses.installation
        self._audit = audit
        self._revocations = revocations
        self._usage = usage

    def add(  # noqa: PLR0913 -- the parts of a key
        self,
        username: str,
        name: str,
        scopes: Sequence[str],
        actor: Actor,
        expires_at: datetime | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> NewApiKey:
        """Create a key for an account. It has the rights of the account, narrowed by the scopes.

        Raises:
            InvalidAccount: a scope is unknown, the name is empty, too long or contains control characters, or the
                expiry has passed.
            NotFound: there is no such account, or the actor may not see it.
            NotAllowed: the account has rights that the actor lacks.
            Conflict: a request of the actor with this idempotency key has already created a key.
            NotPossible: the account has MAX_VALID_KEYS valid keys.
        """
        _check(name, scopes, expires_at)
        values: Row = {"username": username, "name": name, "scopes": sorted(set(scopes)), "expires_at": expires_at}
        values["idempotency_key"] = idempotency_key
        with self._warehouse.connection() as connection:
            reader = Reader(connection)
            rows = reader.rows(PACKAGE, "account_to_change", {"username": username})
            check_changes(actor, username, account_of(rows[0]) if rows else None)
            _check_first(reader, values, actor)
            if (valid := _valid_keys(reader, username)) >= MAX_VALID_KEYS:
                raise NotPossible(f"The account {username!r} has {valid} valid API keys. Revoke one of them first.")
            return self._insert(connection, values, actor, "api_key.created")

    def rotate(self, prefix: str, actor: Actor, overlap: timedelta = OVERLAP) -> NewApiKey:
        """Create a key with the name, scopes and lifetime of another one, which stays valid for `overlap`.

        During overlaps, an account may have one valid key more than MAX_VALID_KEYS.

        Raises:
            NotFound: there is no such key, or the actor may not see it.
            NotAllowed: its account has rights that the actor lacks.
            NotPossible: the key is revoked, expired or already replaced, or the account has too many valid keys.
        """
        with self._warehouse.connection() as connection:
            reader = Reader(connection)
            known = _changeable(reader, prefix, actor)
            rows = reader.rows(PACKAGE, "api_key_to_rotate", {"prefix": prefix})
            if not rows:
                state = f"replaced by {known['replaced_by']}" if known["replaced_by"] else "revoked or expired"
                raise NotPossible(f"The API key {prefix} cannot be rotated: it is already {state}.")
            before = rows[0]
            reader.rows(PACKAGE, "account_to_change", {"username": before["username"]})  # locks it
            if overlap and (valid := _valid_keys(reader, before["username"])) > MAX_VALID_KEYS:
                raise NotPossible(
                    f"The account {before['username']!r} has {valid} valid API keys, including those already replaced. "
                    "Revoke one of them first, or rotate this key without an overlap."
                )
            values = {name: before[name] for name in ("username", "name", "scopes", "expires_at")}
            values["idempotency_key"] = None
            new = self._insert(connection, values, actor, "api_key.rotated", {"replaces": prefix})
            ends_at = datetime.now(UTC) + overlap
            replaced = {"prefix": prefix, "replaced_by": new.key.prefix, "ends_at": ends_at}
            reader.rows(PACKAGE, "replace_api_key", replaced)
            revoke(connection, Revocation("api_key", prefix))  # the workers read its new expiry
        self._revocations.apply([Revocation("api_key", prefix)])
        return new

    def revoke(self, prefix: str, actor: Actor) -> ApiKey:
        """Revoke a key. Every worker rejects it within 2 seconds.

        Raises:
            NotFound: there is no such key, or the actor may not see it.
            NotAllowed: its account has rights that the actor lacks.
        """
        with self._warehouse.connection() as connection:
            _changeable(Reader(connection), prefix, actor)
            rows = Reader(connection).rows(PACKAGE, "revoke_api_key", {"prefix": prefix})
            revoke(connection, Revocation("api_key", prefix))
            details = {"username": rows[0]["username"]}
            event = Event("api_key.revoked", actor.name, prefix, address=actor.address, details=details)
            self._audit.record_in(connection, event)
        self._revocations.apply([Revocation("api_key", prefix)])
        return _key_of(rows[0])

    def listed(self, username: str | None = None, organisation_id: str | None = None) -> list[ApiKey]:
        """Return the keys of an account, of an organisation's accounts, or all, newest first."""
        values = {"username": username, "organisation_id": organisation_id}
        with self._warehouses.of(organisation_id).connection() as connection:
            return [_key_of(row) for row in Reader(connection).rows(PACKAGE, "api_keys", values)]

    def verify(self, text: str) -> VerifiedKey:
        """Verify a key.

        Raises:
            NotSignedIn: the key is malformed, unknown, expired or revoked, or its account is disabled.
            RetryableError: PostgreSQL is unavailable.
        """
        parts = _KEY.fullmatch(text)
        if parts is None:
            raise NotSignedIn(INVALID)
        prefix, secret = parts.groups()
        with self._warehouse.connection() as connection:
            rows = Reader(connection).rows(PACKAGE, "api_key", {"prefix": prefix})
        stored = bytes(rows[0]["secret_hash"]) if rows else bytes(32)
        if not hmac.compare_digest(_hash(secret), stored) or not rows or not rows[0]["is_valid"]:
            raise NotSignedIn(INVALID)
        self._usage.note(prefix)
        identity = account_of(rows[0]).identity(f"key:{prefix}", rows[0]["scopes"])
        return VerifiedKey(identity, rows[0]["expires_at"])

    def _insert(
        self, connection: Connection, values: Row, actor: Actor, action: str, details: dict[str, Any] | None = None
    ) -> NewApiKey:
        prefix, secret = secrets.token_hex(PREFIX_BYTES), secrets.token_urlsafe(SECRET_BYTES)
        values = {**values, "prefix": prefix, "secret_hash": _hash(secret), "created_by": actor.name}
        rows = Reader(connection).rows(PACKAGE, "insert_api_key", values)
        if not rows:
            _check_first(Reader(connection), values, actor)  # a request about another account came first
            raise RuntimeError("The API key was not stored, although no other one has its Idempotency-Key.")
        row = rows[0]
        facts = {"username": row["username"], "scopes": row["scopes"], **(details or {})}
        self._audit.record_in(connection, Event(action, actor.name, prefix, address=actor.address, details=facts))
        return NewApiKey(f"{START}{prefix}_{secret}", _key_of(row))


def _changeable(reader: Reader, prefix: str, actor: Actor) -> Row:
    """Return a key with its account, if the actor may change it."""
    rows = reader.rows(PACKAGE, "api_key_with_account", {"prefix": prefix})
    account = account_of(rows[0]) if rows else None
    if account is None or (actor.identity is not None and not sees(actor.identity, account)):
        raise NotFound(f"There is no API key {prefix!r}.")
    check_changes(actor, account.username, account)
    return rows[0]


def _check_first(reader: Reader, values: Row, actor: Actor) -> None:
    """Check that no request of the actor with this idempotency key has created a key."""
    for created in reader.rows(PACKAGE, "api_key_of_request", {**values, "created_by": actor.name}):
        raise Conflict(
            f"A request with this Idempotency-Key has already created the API key {created['prefix']}. Only its "
            "response contained the secret. If it was lost, revoke the key, and create another one with a new "
            "Idempotency-Key.",
            [],
        )


def _valid_keys(reader: Reader, username: str) -> int:
    """Return how many valid keys an account has. Its row must be locked, so that the number stays true."""
    rows = reader.rows(PACKAGE, "api_keys", {"username": username, "organisation_id": None})
    return sum(_key_of(row).is_valid() for row in rows)


def _check(name: str, scopes: Sequence[str], expires_at: datetime | None) -> None:
    if not 0 < len(name) <= LONGEST_NAME:
        raise InvalidAccount(f"The name of a key must have 1 to {LONGEST_NAME} characters.", "name")
    if fault := fault_of_name(name):  # operators see it in terminals
        raise InvalidAccount(f"The name of a key must not contain control characters; this one {fault}.", "name")
    if unknown := sorted(set(scopes) - SCOPES.keys()):
        known = ", ".join(SCOPES)
        raise InvalidAccount(f"Unknown scopes: {', '.join(unknown)}. The scopes are {known}.", "scopes")
    if not scopes:
        raise InvalidAccount(f"A key needs at least one scope: {', '.join(SCOPES)}.", "scopes")
    if expires_at is not None and expires_at <= datetime.now(UTC):
        raise InvalidAccount("The expiry has already passed.", "expires_at")


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def _key_of(row: Row) -> ApiKey:
    return ApiKey(**{name: row[name] for name in ApiKey.__dataclass_fields__} | {"scopes": tuple(row["scopes"])})
