"""Record operators' changes in the audit log: who changed what, and whether it succeeded."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lakehouse.errors import OkrError
from serving.auth.actor import Actor as Operator
from serving.auth.audit_log import AuditLog, Event, Outcome

SHOWN_ERROR = 1_000  # characters


class Changes:
    """Records changes in the audit log."""

    def __init__(self, audit: AuditLog) -> None:
        self._audit = audit

    @contextmanager
    def recorded(self, operator: Operator, action: str, subject: str) -> Iterator[dict[str, Any]]:
        """Record an action with its outcome. The block may add details to the dictionary, but no secrets.

        Raises:
            RetryableError: the audit log is unavailable. The action may have been carried out; a repeat of the request
                records it.
        """
        details: dict[str, Any] = {}
        try:
            yield details
        except OkrError as error:
            self._record(operator, action, subject, "failure", details | {"error": str(error)[:SHOWN_ERROR]})
            raise
        self._record(operator, action, subject, "success", details)

    def _record(self, operator: Operator, action: str, subject: str, outcome: Outcome, details: dict[str, Any]) -> None:
        self._audit.record(Event(action, operator.name, subject, outcome, operator.address, details))


__all__ = ["Changes", "Operator"]
