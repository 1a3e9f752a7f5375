"""Refuse a restore on a server that would replace the files of running services."""

import subprocess
from pathlib import Path

from infra.backup.places import SERVER_SETTINGS
from lakehouse.errors import PermanentError

RUNNING = "active,activating,reloading,deactivating"
RUNBOOK = "docs/runbooks/restore.md has the steps for servers. Nothing was changed."


def require_stopped_server(to: Path | None, *, while_running: bool) -> None:
    """Check that a restore on a server has a folder of its own, and that no unit of the platform runs.

    Services own what they use, so restored parts are moved and given to them by hand. Timers are units, too: they would
    back up, prune or maintain a platform that is half restored.

    Raises:
        PermanentError: there is no folder, or units run.
    """
    if not SERVER_SETTINGS.is_file():
        return
    if to is None:
        raise PermanentError(
            "On a server, `okr restore` needs --to <folder>, such as /var/lib/okr/restored: the folders of the "
            f"platform belong to its services. {RUNBOOK}"
        )
    if not while_running and (units := running_units()):
        raise PermanentError(
            f"{', '.join(units)} run on this server. Stop them first, on all hosts: `sudo systemctl stop okr.target "
            f"'okr-*.timer'`. {RUNBOOK} For a copy that replaces nothing, add --while-running."
        )


def running_units() -> list[str]:
    """Return the services and timers of the platform that run on this host."""
    command = [
        "systemctl",
        "list-units",
        "--plain",
        "--no-legend",
        f"--state={RUNNING}",
        "okr-*.service",
        "okr-*.timer",
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise PermanentError(
            f"systemd did not say which services run ({error}). Expected `{' '.join(command)}` to work. {RUNBOOK}"
        ) from error
    return [line.split()[0] for line in done.stdout.splitlines() if line.split()]
