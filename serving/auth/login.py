"""Accounts: seeded from the settings at start, verified at login. Knows no HTTP."""

from lakehouse.logs import get_logger
from lakehouse.settings import Settings
from lakehouse.warehouse import read_sql
from serving.auth.failed_login_limit import FailedLoginLimit
from serving.auth.passwords import Passwords
from serving.auth.roles import Identity, Role
from serving.errors import NotSignedIn
from serving.publication_reader import Reader, Warehouse

PACKAGE = "serving.auth"
# User name, and the setting that holds its first password.
FIRST_ACCOUNTS = ((Role.ADMIN, "admin_password"), (Role.LEAD, "lead_password"), (Role.APP, "app_password"))


class Accounts:
    """Who may log in."""

    def __init__(self, warehouse: Warehouse, passwords: Passwords, throttle: FailedLoginLimit) -> None:
        self._warehouse = warehouse
        self._passwords = passwords
        self._throttle = throttle

    def seed(self, settings: Settings) -> None:
        """Make the first accounts, named like their roles; follow a changed secret, write nothing for an unchanged one.

        Raises:
            RetryableError: the warehouse is away.
            PermanentError: a password is missing in the settings.
        """
        for role, setting in FIRST_ACCOUNTS:
            password = settings.require(setting)
            stored = self._stored(role.value)
            if stored and stored["role"] == role and self._passwords.holds(password, stored["password_hash"]):
                continue
            values = {"username": role.value, "role": role.value, "password_hash": self._passwords.hash(password)}
            with self._warehouse.connection() as connection:
                connection.execute(read_sql(PACKAGE, "queries/upsert_account").encode(), values)
            get_logger(__name__).info("account seeded", username=role.value)

    def authenticate(self, username: str, password: str, address: str) -> Identity:
        """Return who a user name and password belong to; `address` is where the login came from.

        Raises:
            NotSignedIn: they do not belong together (which of the two is wrong is not told).
            TooManyAttempts: too many failures before.
        """
        self._throttle.check(username, address)
        stored = self._stored(username)
        if not self._passwords.holds(password, stored["password_hash"] if stored else None) or stored is None:
            self._throttle.failed(username, address)
            raise NotSignedIn("User name and password do not belong together.")
        return Identity(stored["username"], Role(stored["role"]))

    def _stored(self, username: str) -> dict[str, str] | None:
        with self._warehouse.connection() as connection:
            rows = Reader(connection).rows(PACKAGE, "account", {"username": username})
        return rows[0] if rows else None
