"""Where an account has logged in before: from an address (PostgreSQL), or on a device (a signed cookie)."""

import hmac
import secrets
from dataclasses import dataclass

from serving.auth.client_address import network_of
from serving.publication_reader import Connection, Reader, Warehouse

PACKAGE = "serving.auth"
DEVICE_BYTES = 12


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

    def device_of(self, username: str, client: Client) -> str | None:
        """Return the id of the device if the account has logged in on it, else None."""
        device, _, signature = (client.device or "").partition(".")
        if not device or not hmac.compare_digest(self._signature(username, device).encode(), signature.encode()):
            return None
        return device

    def device_cookie(self, username: str) -> str:
        """Return the value of a cookie for a device on which an account has logged in."""
        device = secrets.token_urlsafe(DEVICE_BYTES)
        return f"{device}.{self._signature(username, device)}"

    def is_known_address(self, username: str, address: str) -> bool:
        """Return whether the account has logged in from an address within 90 days."""
        values = {"username": username, "client_hash": self._address(address)}
        with self._warehouse.connection() as connection:
            return bool(Reader(connection).rows(PACKAGE, "known_client", values))

    def remember_in(self, connection: Connection, username: str, address: str) -> None:
        """Record a login from an address."""
        values = {"username": username, "client_hash": self._address(address)}
        Reader(connection).rows(PACKAGE, "remember_client", values)

    def _signature(self, username: str, device: str) -> str:
        return hmac.digest(self._key, f"device\x1f{username}\x1f{device}".encode("utf-8", "replace"), "sha256").hex()

    def _address(self, address: str) -> bytes:
        return hmac.digest(self._key, f"address\x1f{network_of(address)}".encode(), "sha256")
