"""Errors of the serving layer, independent of HTTP. `error_responses` maps each error to a status."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lakehouse.errors import PermanentError, RetryableError
from serving.suggestions import suggestion


class NotFound(PermanentError):
    """The requested resource does not exist, for example in the current publication or in the registry.

    `similar` contains known names that resemble the requested name. It is None if no search was made.
    """

    def __init__(self, message: str, similar: Sequence[str] | None = None) -> None:
        super().__init__(message if similar is None else f"{message} {suggestion(similar)}")
        self.similar = list(similar or ())


class UnknownName(PermanentError):
    """A request contains an unknown name. `similar` contains known names that resemble it."""

    def __init__(self, message: str, *, pointer: str, similar: Sequence[str]) -> None:
        super().__init__(f"{message} {suggestion(similar)}")
        self.pointer = pointer
        self.similar = list(similar)


@dataclass(frozen=True)
class Difference:
    """A field of a repeated request that differs from the first request."""

    field: str
    first: Any
    now: Any


class Conflict(PermanentError):
    """A request has the key or id of an earlier request, but different content."""

    def __init__(self, message: str, differs: Sequence[Difference]) -> None:
        super().__init__(message)
        self.differs = list(differs)


@dataclass(frozen=True)
class CurrentVersion:
    """The current version of an entity: its entity tag, its time and its content."""

    etag: str
    defined_at: str
    data: Any


class AlreadyDefined(PermanentError):
    """A request would create an entity that already exists. `current` is its current version."""

    def __init__(self, message: str, current: CurrentVersion) -> None:
        super().__init__(message)
        self.current = current


class VersionMismatch(PermanentError):
    """A definition replaces a version that is not the current one. `current` is the current version."""

    def __init__(self, message: str, current: CurrentVersion) -> None:
        super().__init__(message)
        self.current = current


class VersionRequired(PermanentError):
    """A definition is replaced without stating which version it replaces."""


class CursorExpired(PermanentError):
    """A cursor belongs to a publication that a newer one has replaced."""


class NotAcceptable(PermanentError):
    """The response cannot be represented in any format that the request accepts."""


class NotPublished(RetryableError):
    """Nothing has been published yet, so there is nothing to read."""


class PublishedByOlderRelease(RetryableError):
    """The marts lack a table or column that this release reads. The next publication adds it."""


class NotPersisted(RetryableError):
    """An event could not be persisted: too many events are waiting for the broker, or the disk is full or read-only."""


class NotLoadable(PermanentError):
    """A registered model's files are incompatible with this code, or differ from the registered ones."""


class NotConfigured(PermanentError):
    """The host lacks a setting that the request needs. Other hosts of the installation may have it."""


class NotSignedIn(PermanentError):
    """The request has no valid credentials."""


class PasswordChangeRequired(PermanentError):
    """The password is a one-time password, with which only another password can be chosen."""


class NotAllowed(PermanentError):
    """The account's role does not permit the request."""


class InvalidAccount(PermanentError):
    """An account or an API key cannot be created or changed as requested. `field` is the invalid field."""

    def __init__(self, message: str, field: str) -> None:
        super().__init__(message)
        self.field = field


class CrossSite(PermanentError):
    """A form was posted from another site."""


class TooManyAttempts(RetryableError):
    """Too many logins have failed. `retry_after_s` is the time to wait."""

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class RateLimited(RetryableError):
    """The plan of the caller does not allow the request now. `retry_after_s` is the time to wait."""

    def __init__(self, message: str, plan: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.plan = plan
        self.retry_after_s = retry_after_s


@dataclass(frozen=True)
class InvalidField:
    """A feature that breaks the model's input schema: the number of its row, its name and the reason."""

    row: int
    name: str
    detail: str


class InvalidFeatures(PermanentError):
    """Features in a request break the model's input schema."""

    def __init__(self, errors: Sequence[InvalidField]) -> None:
        shown = "; ".join(f"row {each.row}, {each.name}: {each.detail}" for each in errors[:3])
        super().__init__(f"The features are invalid. {shown}")
        self.errors = list(errors)


class NotApplicable(PermanentError):
    """The request asks a model for something that this model does not do."""


class NotServing(RetryableError):
    """No version of the model is loaded, and it has no rule that could predict instead."""
