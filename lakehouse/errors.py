"""The project's error types. Only the edges (CLI, HTTP, Airflow tasks) turn them into exit codes or statuses."""

# Exit status of a worker that only somebody can help: a supervisor leaves it stopped, for it would end the same way.
STOPPED_FOR_GOOD = 3
# Exit status of a command that was asked for more than there is data for: no fault, only too early.
TOO_LITTLE_DATA = 4


class OkrError(Exception):
    """Base of every error we raise on purpose; its message says what was expected, what came and what to do."""

    exit_status = 1


class RetryableError(OkrError):
    """The outside world failed in a way that may pass: the broker is away, the database restarts."""


class PermanentError(OkrError):
    """Trying again changes nothing: somebody has to mend the input, the settings or the code."""


class ContractViolation(PermanentError):
    """An event or a file breaks its contract. `reason` is a stable machine-readable word."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class GateFailed(PermanentError):
    """A quality gate found data that must not be published; the last publication stays in place."""


class InvariantBroken(PermanentError):
    """`okr lake verify` found a gap or a repeat: stop writing and read docs/runbooks/lake-verify.md."""
