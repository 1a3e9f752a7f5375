"""The two processes of the API on a host: whether they run and are ready, and how they are started and stopped."""

import time

from infra.deploy.api_client import ColourClient
from infra.deploy.host import Host
from infra.deploy.units import Units, running_release
from lakehouse.errors import RetryableError


class Colours:
    """Blue and green."""

    def __init__(self, host: Host, units: Units) -> None:
        self._host, self._units = host, units

    def unit(self, colour: str) -> str:
        """Return the unit of a colour."""
        return self._host.api_unit(colour)

    def client(self, colour: str | None) -> ColourClient:
        """Return a client of a colour. With None, it reaches nothing."""
        return ColourClient(self._host.socket(colour or "none"))

    def release(self, colour: str) -> str | None:
        """Return the release that a colour runs, or None if it does not run."""
        return running_release(self._host, self._units, self.unit(colour))

    def is_ready(self, colour: str) -> bool:
        """Return whether a colour may receive requests."""
        with self.client(colour) as client:
            return client.is_ready()

    def wait_until_ready(self, client: ColourClient, colour: str) -> None:
        """Wait until a colour may receive requests.

        Raises:
            RetryableError: the process has ended, or is not ready in time; the message names the log.
        """
        unit = self.unit(colour)
        try:
            client.wait_until_ready(self._host.limits.start_s, lambda: self._units.pid(unit) is not None)
        except RetryableError as error:
            raise RetryableError(f"{unit}: {error} `{self._units.log(unit)}` shows why.") from error

    def ensure_ready(self, colour: str) -> None:
        """Start a colour unless it runs, and wait until it is ready.

        Raises:
            RetryableError: as `wait_until_ready`.
        """
        self._units.start(self.unit(colour))
        with self.client(colour) as client:
            self.wait_until_ready(client, colour)

    def settle_and_stop(self, colour: str) -> None:
        """Stop a colour after the connections that were opened before the switch have been accepted."""
        if self._units.pid(self.unit(colour)) is not None:
            time.sleep(self._host.limits.settle_s)
        self._units.stop(self.unit(colour))
