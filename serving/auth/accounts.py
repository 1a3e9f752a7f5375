"""Read accounts, and create the first ones from the settings at startup. `account_changes` changes them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lakehouse.logs import get_logger
from lakehouse.settings import Settings
from serving.auth.audit_log import AuditLog, Event
from serving.auth.passwords import Passwords
from serving.auth.roles import Identity, Role, rights_of
from serving.publication_reader import Connection, Reader, Row
from serving.warehouses import Warehouses

PACKAGE = "serving.auth"
# User name, role and the setting that contains the password.
FIRST_ACCOUNTS = (
    ("admin", Role.ADMIN, "admin_password"),
    ("lead", Role.LEAD, "lead_password"),
    ("app", Role.SERVICE, "app_password"),
)


@dataclass(frozen=True)
class Account:
    """An account. Sessions and tokens of an earlier `credential_version` are invalid.

    `password_expires_at` is not None if its password is a one-time password, which cannot be used to log in.
    """

    username: str
    role: Role
    organisation_id: str | None
    user_id: str | None
    team_ids: tuple[str, ...]
    plan: str
    created_at: datetime
    disabled_at: datetime | None
    password_changed_at: datetime
    password_expires_at: datetime | None
    credential_version: int

    def identity(self, credential: str, scopes: list[str] | None = None) -> Identity:
        """Return the identity of a caller with a credential, which has the given scopes if it is an API key."""
        return Identity(
            username=self.username,
            role=self.role,
            organisation_id=self.organisation_id,
            user_id=self.user_id,
            team_ids=self.team_ids,
            rights=rights_of(self.role, self.organisation_id, scopes),
            plan=self.plan,
            credential=credential,
        )


@dataclass(frozen=True)
class StoredAccount:
    """An account with its password hash, for logins only."""

    account: Account
    password_hash: str


class Accounts:
    """The accounts in PostgreSQL (auth.account)."""

    def __init__(self, warehouses: Warehouses, passwords: Passwords, audit: AuditLog) -> None:
        self._warehouses = warehouses
        self._warehouse = warehouses.installation
        self._passwords = passwords
        self._audit = audit

    def seed(self, settings: Settings) -> None:
        """Create the first accounts. Set a password again only if it has changed in the settings since it was last set.

        Raises:
            RetryableError: the warehouse is unavailable.
            PermanentError: a password is missing from the settings.
        """
        for username, role, setting in FIRST_ACCOUNTS:
            password = settings.require(setting)
            with self._warehouse.connection() as connection:
                known = Reader(connection).rows(PACKAGE, "account", {"username": username})
            if known and self._is_seeded(known[0], password):
                continue
            values = {
                "username": username, "role": role.value, "plan": "service" if role is Role.SERVICE else "standard",
                "password_hash": self._passwords.hash(password),
                "checked_version": known[0]["credential_version"] if known else None,
            }  # fmt: skip
            with self._warehouse.connection() as connection:
                if not Reader(connection).rows(PACKAGE, "seed_account", values):
                    continue  # the account was changed in the meantime, or another worker created it
                self._audit.record_in(connection, Event("account.seeded", "os:okr serve", username))
            get_logger(__name__).info("account seeded", username=username)

    def _is_seeded(self, row: Row, password: str) -> bool:
        # Accounts from before revision 0040 have no seed_hash. Their password came from the settings.
        return self._passwords.matches(password, row["seed_hash"] or row["password_hash"])

    def find(self, username: str) -> StoredAccount | None:
        """Return the account with a user name, or None. It may be disabled."""
        with self._warehouse.connection() as connection:
            return find_in(connection, username)

    def account(self, username: str) -> Account | None:
        """Return the account with a user name without its password hash, or None. It may be disabled."""
        stored = self.find(username)
        return stored.account if stored else None

    def listed(self, organisation_id: str | None = None) -> list[Account]:
        """Return the accounts of an organisation, or all accounts, ordered by user name."""
        with self._warehouses.of(organisation_id).connection() as connection:
            rows = Reader(connection).rows(PACKAGE, "accounts", {"organisation_id": organisation_id})
        return [account_of(row) for row in rows]


def find_in(connection: Connection, username: str) -> StoredAccount | None:
    """Return the account with a user name in the connection's transaction, or None."""
    rows = Reader(connection).rows(PACKAGE, "account", {"username": username})
    return StoredAccount(account_of(rows[0]), rows[0]["password_hash"]) if rows else None


def account_of(row: Row) -> Account:
    """Return the account in a row of a query that selects its columns."""
    values: dict[str, Any] = {name: row[name] for name in Account.__dataclass_fields__}
    return Account(**{**values, "role": Role(row["role"]), "team_ids": tuple(row["team_ids"])})
