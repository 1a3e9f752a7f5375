"""Verify user names and passwords. The first accounts are created from the settings at startup."""

from lakehouse.logs import get_logger
from lakehouse.settings import Settings
from lakehouse.warehouse import read_sql
from serving.auth.failed_login_limit import FailedLoginLimit
from serving.auth.passwords import Passwords
from serving.auth.roles import Identity, Role, rights_of
from serving.errors import NotSignedIn
from serving.publication_reader import Reader, Row, Warehouse

PACKAGE = "serving.auth"
# User name, role and the setting that contains the password.
FIRST_ACCOUNTS = (
    ("admin", Role.ADMIN, "admin_password"),
    ("lead", Role.LEAD, "lead_password"),
    ("app", Role.SERVICE, "app_password"),
)


class Accounts:
    """The accounts that may log in."""

    def __init__(self, warehouse: Warehouse, passwords: Passwords, failed_logins: FailedLoginLimit) -> None:
        self._warehouse = warehouse
        self._passwords = passwords
        self._failed_logins = failed_logins

    def seed(self, settings: Settings) -> None:
        """Create the first accounts. Update existing ones whose password or role has changed.

        Raises:
            RetryableError: the warehouse is unavailable.
            PermanentError: a password is missing from the settings.
        """
        for username, role, setting in FIRST_ACCOUNTS:
            password = settings.require(setting)
            stored = self._stored(username)
            if stored and stored["role"] == role and self._passwords.matches(password, stored["password_hash"]):
                continue
            values = {"username": username, "role": role.value, "password_hash": self._passwords.hash(password)}
            with self._warehouse.connection() as connection:
                connection.execute(read_sql(PACKAGE, "queries/upsert_account").encode(), values)
            get_logger(__name__).info("account seeded", username=username)

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
        role, organisation_id = Role(stored["role"]), stored["organisation_id"]
        return Identity(
            username=stored["username"], role=role, organisation_id=organisation_id, user_id=stored["user_id"],
            team_ids=tuple(stored["team_ids"]), rights=rights_of(role, organisation_id), plan=stored["plan"],
            credential="",
        )  # fmt: skip

    def _stored(self, username: str) -> Row | None:
        with self._warehouse.connection() as connection:
            rows = Reader(connection).rows(PACKAGE, "account", {"username": username})
        return rows[0] if rows else None
