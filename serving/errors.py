"""What can go wrong while serving, without HTTP: `problems` alone knows the status of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lakehouse.errors import PermanentError, RetryableError
from serving.suggestions import suggestion


class NotFound(PermanentError):
    """The requested thing does not exist in the current publication or in the registry.

    `similar`: known names that look like the requested one; None if none were searched for.
    """

    def __init__(self, message: str, similar: Sequence[str] | None = None) -> None:
        super().__init__(message if similar is None else f"{message} {suggestion(similar)}")
        self.similar = list(similar or ())


class UnknownName(PermanentError):
    """A request contains an unknown name. `similar`: known names that look like it."""

    def __init__(self, message: str, *, pointer: str, similar: Sequence[str]) -> None:
        super().__init__(f"{message} {suggestion(similar)}")
        self.pointer = pointer
        self.similar = list(similar)


@dataclass(frozen=True)
class Difference:
    """What a request says now, where it said something else the first time."""

    field: str
    first: Any
    now: Any


class Conflict(PermanentError):
    """A request contradicts an earlier one that it claims to repeat."""

    def __init__(self, message: str, differs: Sequence[Difference]) -> None:
        super().__init__(message)
        self.differs = list(differs)


class NotPublished(RetryableError):
    """Nothing has been published yet, so there is nothing to read."""


class PublishedByOlderRelease(RetryableError):
    """The marts lack what this release reads: they were published by one before it, and the next publication has it."""


class NotPersisted(RetryableError):
    """An event of ours could not be kept on disk: too much waits for the broker already, or the disk takes nothing."""


class NotLoadable(PermanentError):
    """A registered model's files do not fit this code, or are not those that were registered."""


class NotSignedIn(PermanentError):
    """No credentials, or credentials that do not hold."""


class NotAllowed(PermanentError):
    """The account is known, but its role may not do this."""


class CrossSite(PermanentError):
    """A form was posted from another site's page."""


class TooManyAttempts(RetryableError):
    """Too many failed logins; `retry_after_s` is how long to wait."""

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
