"""Where an account has logged in before: from an address (PostgreSQL), or on a device (a signed cookie)."""

import hmac
import secrets
import time
from dataclasses import dataclass

from serving.auth.accounts import Account
from serving.auth.client_address import network_of
from serving.publication_reader import Connection, Reader, Warehouse

PACKAGE = "serving.auth"
DEVICE_BYTES = 12
DEVICE_LIFE_S = 90 * 24 * 3600  # as long as addresses are remembered


@dataclass(frozen=True)
class Client:
    """Who tries to log in: the address, the cookie of a device if it sent one, and the name of its program."""

    address: str
    device: str | None = None
    program: str = ""


class KnownClients:
    """Recognises clients. `key` is derived from the installation's secret."""

    def __init__(self, warehouse: Warehouse, key: bytes) -> None:
        self._warehouse = warehouse
        self._key = key

    def device_of(self, account: Account, client: Client) -> str | None:
        """Return the id of the device if the account has logged in on it since its last change, else None.

        A changed password, for example, ends the trust in all devices, because another person may have known the old
        password.
        """
        signed, _, signature = (client.device or "").rpartition(".")
        device, _, expires_at = signed.partition(".")
        if not hmac.compare_digest(self._signature(account, signed).encode(), signature.encode("utf-8", "replace")):
            return None
        return device if int(expires_at) > time.time() else None

    def device_cookie(self, account: Account) -> str:
        """Return the value of a cookie for a device on which an account has logged in."""
        signed = f"{secrets.token_urlsafe(DEVICE_BYTES)}.{int(time.time()) + DEVICE_LIFE_S}"
        return f"{signed}.{self._signature(account, signed)}"

    def is_known_address(self, username: str, address: str) -> bool:
        """Return whether the account has logged in from an address within 90 days."""
        values = {"username": username, "client_hash": self._address(address)}
        with self._warehouse.connection() as connection:
            return bool(Reader(connection).rows(PACKAGE, "known_client", values))

    def remember_in(self, connection: Connection, username: str, address: str) -> None:
        """Record a login from an address."""
        values = {"username": username, "client_hash": self._address(address)}
        Reader(connection).rows(PACKAGE, "remember_client", values)

    def _signature(self, account: Account, signed: str) -> str:
        text = f"device\x1f{account.username}\x1f{account.credential_version}\x1f{signed}"
        return hmac.digest(self._key, text.encode("utf-8", "replace"), "sha256").hex()

    def _address(self, address: str) -> bytes:
        return hmac.digest(self._key, f"address\x1f{network_of(address)}".encode(), "sha256")
