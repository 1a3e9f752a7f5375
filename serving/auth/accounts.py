"""Verify user names and passwords. The first accounts are created from the settings at startup."""

from lakehouse.logs import get_logger
from lakehouse.settings import Settings
from lakehouse.warehouse import read_sql
from serving.auth.failed_login_limit import FailedLoginLimit
from serving.auth.passwords import Passwords
from serving.auth.roles import Identity, Role
from serving.errors import NotSignedIn
from serving.publication_reader import Reader, Warehouse

PACKAGE = "serving.auth"
# Pairs of a role, which is also the user name, and the setting that contains the password.
FIRST_ACCOUNTS = ((Role.ADMIN, "admin_password"), (Role.LEAD, "lead_password"), (Role.APP, "app_password"))


class Accounts:
    """The accounts that may log in."""

    def __init__(self, warehouse: Warehouse, passwords: Passwords, failed_logins: FailedLoginLimit) -> None:
        self._warehouse = warehouse
        self._passwords = passwords
        self._failed_logins = failed_logins

    def seed(self, settings: Settings) -> None:
        """Create the first accounts, named after their roles. Update existing ones whose password or role has changed.

        Raises:
            RetryableError: the warehouse is unavailable.
            PermanentError: a password is missing from the settings.
        """
        for role, setting in FIRST_ACCOUNTS:
            password = settings.require(setting)
            stored = self._stored(role.value)
            if stored and stored["role"] == role and self._passwords.matches(password, stored["password_hash"]):
                continue
            values = {"username": role.value, "role": role.value, "password_hash": self._passwords.hash(password)}
            with self._warehouse.connection() as connection:
                connection.execute(read_sql(PACKAGE, "queries/upsert_account").encode(), values)
            get_logger(__name__).info("account seeded", username=role.value)

    def authenticate(self, username: str, password: str, address: str) -> Identity:
        """Verify a user name and password and return the identity. `address` is the client's IP address.

        Raises:
            NotSignedIn: the user name or the password is wrong; the message does not say which.
            TooManyAttempts: too many logins failed recently.
        """
        self._failed_logins.check(username, address)
        stored = self._stored(username)
        if not self._passwords.matches(password, stored["password_hash"] if stored else None) or stored is None:
            self._failed_logins.record(username, address)
            raise NotSignedIn("Wrong user name or password.")
        return Identity(stored["username"], Role(stored["role"]))

    def _stored(self, username: str) -> dict[str, str] | None:
        with self._warehouse.connection() as connection:
            rows = Reader(connection).rows(PACKAGE, "account", {"username": username})
        return rows[0] if rows else None
