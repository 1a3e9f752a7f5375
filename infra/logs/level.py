"""Change the level of a running service: write the file that its processes poll (lakehouse/log_records/levels.py)."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from lakehouse.atomic_replace import replace_file
from lakehouse.errors import PermanentError
from lakehouse.log_records.levels import POLL_S, Change, parse

SERVER_FOLDER = Path("/run/okr/log-levels")  # empty after a reboot
# The services of our own code. The others need a restart, or have a command of their own (docs/logs.md).
CHANGEABLE = ("api", "land", "state", "metrics", "guard")
LONGEST = timedelta(days=1)  # so that nobody forgets DEBUG


def level_file(service: str, state: Path, *, is_server: bool) -> Path:
    """Return the file that the processes of a service poll."""
    return SERVER_FOLDER / f"okr-{service}" if is_server else state / "run" / service / "log-level"


def change(file: Path, service: str, rules: str, period: timedelta) -> str:
    """Change the level of a service for a period, and return what to tell the operator.

    Raises:
        PermanentError: the service, the level or the period is not possible, or the file cannot be written.
    """
    _check(service, CHANGEABLE)
    parse(rules)
    if not timedelta(0) < period <= LONGEST:
        raise PermanentError(
            f"Expected a period of at most {LONGEST.days} day. OKR_LOG_LEVEL changes a level for good."
        )
    until = time.time() + period.total_seconds()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        replace_file(file, Change(rules, until, period.total_seconds()).text())
        if file.parent == SERVER_FOLDER:  # the umask of the command may be stricter than the service's rights
            SERVER_FOLDER.chmod(0o755)
            file.chmod(0o644)
    except OSError as error:
        raise PermanentError(
            f"{file} cannot be written: {error.strerror}. Run this as root, or as the stack's user."
        ) from error
    end = f"{datetime.fromtimestamp(until, UTC):%H:%M:%S} UTC"
    return f"{service} logs {rules} within {POLL_S:.0f} s, until {end}. `okr logs level {service} --reset` ends it now."


def reset(file: Path, service: str) -> str:
    """Return to the level of the setting, and return what to tell the operator.

    Raises:
        PermanentError: the service has no level that can be changed.
    """
    _check(service, CHANGEABLE)
    file.unlink(missing_ok=True)
    return f"{service} logs as OKR_LOG_LEVEL says again, within {POLL_S:.0f} s."


def _check(service: str, known: Sequence[str]) -> None:
    if service not in known:
        raise PermanentError(
            f"The level of {service!r} cannot be changed while it runs. Expected one of {', '.join(known)}; "
            "docs/logs.md says how to change the levels of Airflow, PostgreSQL, Redis, Kafka and nginx."
        )
