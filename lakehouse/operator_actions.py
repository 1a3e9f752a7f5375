"""Record in the API's audit log what operators change by commands.

The package serving writes the log, and this package does not import it: the entry point `okr_lakehouse.audit` names the
function.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points
from typing import Any

import psycopg

from lakehouse.errors import OkrError
from lakehouse.logs import get_logger

GROUP = "okr_lakehouse.audit"
SHOWN_ERROR = 1_000  # characters

log = get_logger(__name__)


@contextmanager
def recorded(action: str, subject: str) -> Iterator[dict[str, Any]]:
    """Record an action of the command's user, with its outcome. The block may add details, but no secrets.

    If the log cannot be written, the action is not undone: a warning says that it is not recorded.
    """
    details: dict[str, Any] = {}
    try:
        yield details
    except Exception as error:
        text = str(error) if isinstance(error, OkrError) else type(error).__name__
        _record(action, subject, "failure", details | {"error": text[:SHOWN_ERROR]})
        raise
    _record(action, subject, "success", details)


def _record(action: str, subject: str, outcome: str, details: dict[str, Any]) -> None:
    try:
        for entry in entry_points(group=GROUP):
            entry.load()(action, subject, outcome, details)
    except (OkrError, ImportError, psycopg.Error) as error:
        reason = " ".join(str(error).split())
        log.warning("this action is not in the audit log", action=action, subject=subject, reason=reason)
