"""Exceptions of every kind for the tests of background threads."""

from collections.abc import Callable
from typing import Any


# po4erk91/thread-keeper issue 114: a daemon thread ended by a BaseException stays dead unnoticed;
# eHealthAfrica/aether pull 886: the API reports healthy although one of its threads is dead.
class Panic(BaseException):
    """Raised like a panic in a Rust library: not an Exception."""


class Thrower:
    """Replace a function: raise in the first calls, then call the original."""

    def __init__(self, original: Callable[..., Any], *errors: BaseException) -> None:
        self.original, self.errors, self.calls = original, list(errors), 0

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return self.original(*arguments, **named)


ERRORS = (ValueError("unexpected"), FileNotFoundError(2, "No such file or directory"), Panic("rust"), MemoryError())
