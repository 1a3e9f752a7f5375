"""Findings that an operator accepts, with reasons, from /etc/okr/audit.toml."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import StringConstraints, TypeAdapter, ValidationError

from lakehouse.errors import PermanentError

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


@dataclass(frozen=True)
class Accepted:
    """A finding that is intended on this installation, and why. Another one about the same subject is not accepted."""

    check: Text
    subject: Text
    found: Text
    reason: Text


def read_accepted(file: Path) -> tuple[Accepted, ...]:
    """Return the accepted findings; none if there is no file.

    Raises:
        PermanentError: the file is invalid.
    """
    try:
        rows = tomllib.loads(file.read_text(encoding="utf-8")).get("accepted", [])
        return TypeAdapter(tuple[Accepted, ...]).validate_python(rows)
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, ValidationError) as error:
        raise PermanentError(
            f"{file} is invalid. Expected tables [[accepted]] with check, subject, found and reason, got: {error}"
        ) from error
