"""Limit failed logins, so that passwords cannot be guessed and strangers cannot lock a person out.

| failures within 15 minutes of | most | does not apply to |
|---|---|---|
| a name from an address | 10 | a device on which the account has logged in |
| a name on such a device | 10 | |
| a name on all such devices | 50 | |
| a name from all other addresses | 50 | such a device, and addresses from which the account has logged in |
| an address with any names | 100 | such a device |

A stranger who exhausts a name's limits stops only strangers: the person still gets in with a device or from an address
that they used before. Guessing from many addresses is limited to 50 passwords in 15 minutes for each name. IPv6
addresses are counted per /64 network, because one subscriber has all of its addresses.
"""

from lakehouse.errors import RetryableError
from serving.auth.accounts import Account
from serving.auth.client_address import network_of
from serving.auth.failure_counts import FailureCounts
from serving.auth.known_clients import Client, KnownClients
from serving.errors import TooManyAttempts

MOST_PER_NAME_AND_ADDRESS = 10
MOST_PER_DEVICE = 10
MOST_PER_NAME = 50
MOST_PER_ADDRESS = 100


class LoginLimit:
    """Rejects logins after too many failures."""

    def __init__(self, counts: FailureCounts, known_clients: KnownClients) -> None:
        self._counts = counts
        self._known_clients = known_clients

    def check(self, username: str, account: Account | None, client: Client) -> None:
        """Check that another login may be attempted. `account` is the account with the user name, if there is one.

        Raises:
            TooManyAttempts: there were too many failures.
        """
        limits = self._limits(username, account, client)
        counts = self._counts.read(limits)
        exceeded = {name: left_s for name, (failures, left_s) in counts.items() if failures >= limits[name]}
        if _of_name(username) in exceeded and self._is_known_address(username, client.address):
            del exceeded[_of_name(username)]
        if exceeded:
            wait_s = max(exceeded.values())
            raise TooManyAttempts(
                f"Too many failed logins; try again in {wait_s} s, or from a device or an address from which you have "
                "logged in before.",
                wait_s,
            )

    def record(self, username: str, account: Account | None, client: Client) -> bool:
        """Count a failed login. Return whether a limit was reached with it."""
        limits = self._limits(username, account, client)
        return any(failures == limits[name] for name, failures in self._counts.add(limits).items())

    def _limits(self, username: str, account: Account | None, client: Client) -> dict[str, int]:
        device = None if account is None else self._known_clients.device_of(account, client)
        if device is not None:
            return {f"device\x1f{username}\x1f{device}": MOST_PER_DEVICE, f"devices\x1f{username}": MOST_PER_NAME}
        network = network_of(client.address)
        return {
            f"pair\x1f{username}\x1f{network}": MOST_PER_NAME_AND_ADDRESS,
            _of_name(username): MOST_PER_NAME,
            f"address\x1f{network}": MOST_PER_ADDRESS,
        }

    def _is_known_address(self, username: str, address: str) -> bool:
        try:
            return self._known_clients.is_known_address(username, address)
        except RetryableError:
            return False


def _of_name(username: str) -> str:
    return f"name\x1f{username}"
