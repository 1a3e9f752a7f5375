"""Record what operators change: who, what, and whether it succeeded."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from lakehouse.errors import OkrError
from lakehouse.logs import get_logger


@dataclass(frozen=True)
class Operator:
    """Who changes something: the user name of the account, and the client's address."""

    name: str
    address: str | None = None


class Changes:
    """Records changes in the log."""

    def __init__(self) -> None:
        self._log = get_logger(__name__)

    @contextmanager
    def recorded(self, operator: Operator, action: str, subject: str) -> Iterator[dict[str, Any]]:
        """Record an action with its outcome. The block may add details to the dictionary, but no secrets."""
        details: dict[str, Any] = {}
        try:
            yield details
        except OkrError as error:
            self._record(operator, action, subject, "failure", details | {"error": str(error)})
            raise
        self._record(operator, action, subject, "success", details)

    def _record(self, operator: Operator, action: str, subject: str, outcome: str, details: dict[str, Any]) -> None:
        self._log.info("admin", action=action, subject=subject, by=operator.name, outcome=outcome, **details)
