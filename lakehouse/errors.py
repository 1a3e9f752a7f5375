"""The project's error types. Only entry points (CLI, HTTP, Airflow tasks) turn them into exit codes or statuses."""

# Exit status of a worker that needs manual intervention. A supervisor does not restart it, because it would fail again.
NEEDS_INTERVENTION = 3
# Exit status of a command for which there is not enough data yet. This is not a failure.
TOO_LITTLE_DATA = 4


class OkrError(Exception):
    """Base class of deliberate errors; the message says what was expected, what was found and what to do."""

    exit_status = 1


class RetryableError(OkrError):
    """A temporary failure outside this process, such as an unreachable broker or a restarting database."""


class PermanentError(OkrError):
    """A failure that retrying cannot fix, because the input, the settings or the code is wrong."""


class NotPossible(PermanentError):
    """The operation is not possible in the current state, so nothing was changed; the message says why."""


class ContractViolation(PermanentError):
    """An event or a file breaks its contract. `reason` is a stable, machine-readable code."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class GateFailed(PermanentError):
    """A quality gate found data that must not be published. The current publication does not change."""


class InvariantBroken(PermanentError):
    """An event is missing or duplicated. Stop all writers and follow docs/runbooks/lake-verify.md."""
