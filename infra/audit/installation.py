"""What the checks look at: the settings of this host, its local stack if it has one, its zones and its own flows."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from infra.firewall.flow_table import Flow, flow_table
from infra.firewall.host_networks import read_networks
from infra.local.processes import stack_processes
from infra.local.stack import Stack, open_stack
from lakehouse.settings import Settings, read_settings

SERVICE_USERS = "okr-"  # the prefix of the system users of services on a server


@dataclass(frozen=True)
class Installation:
    """One host of an installation. `settings_errors` has a line for each invalid setting."""

    settings: Settings
    settings_errors: tuple[str, ...] = ()
    stack: Stack | None = None
    zones: frozenset[str] = frozenset()
    own_flows: tuple[Flow, ...] = ()

    def processes(self) -> Iterator[psutil.Process]:
        """Yield the running processes of the platform: those of the local stack, or of the services' users."""
        if self.stack is not None:
            yield from stack_processes(self.stack)
            return
        for process in psutil.process_iter():
            try:
                is_ours = process.username().startswith(SERVICE_USERS)
            except (psutil.Error, KeyError):
                continue  # it has ended, or its user has no name
            if is_ours:
                yield process


def open_installation(networks: Path) -> Installation:
    """Return the installation of this host. `networks` is the file of the firewall; without it, the host has no zone.

    Raises:
        PermanentError: stack.env or the file of the firewall is invalid or cannot be read.
    """
    settings, errors = read_settings()
    stack = open_stack(settings.state)
    if not networks.is_file():
        return Installation(settings, tuple(errors), stack)
    host = read_networks(networks, flow_table())
    return Installation(settings, tuple(errors), stack, host.zones, host.flows)
