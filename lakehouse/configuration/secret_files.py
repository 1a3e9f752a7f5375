"""Read secrets from files: those that `OKR_<SECRET>_FILE` names, and systemd's credentials.

Unlike variables, files do not appear in a process's environment. In a systemd unit,
`LoadCredential=okr_jwt_secret:/etc/okr/secrets/okr_jwt_secret` gives its service the credential `okr_jwt_secret`, which
sets OKR_JWT_SECRET.
"""

import os
from collections.abc import Collection, Iterable
from pathlib import Path

from lakehouse.environment import CREDENTIALS

SUFFIX = "_FILE"


def secret_file(field: str) -> tuple[str, Path] | None:
    """Return the file of a secret and where its name comes from, or None if there is no file."""
    named = os.environ.get(f"OKR_{field.upper()}{SUFFIX}")
    if named:
        return f"file {named}", Path(named)
    folder = os.environ.get(CREDENTIALS)
    path = Path(folder) / f"okr_{field}" if folder else None
    return (f"credential okr_{field}", path) if path is not None and path.is_file() else None


def read_secret_files(fields: Iterable[str], *, set_elsewhere: Collection[str]) -> tuple[dict[str, str], list[str]]:
    """Return the secrets in files, without the final line break, and the errors, one line each.

    A secret that is also in `set_elsewhere`, and a file that is missing, unreadable or not UTF-8, are errors.
    """
    values, errors = {}, []
    for field in fields:
        found = secret_file(field)
        if found is None:
            continue
        name, (origin, path) = f"OKR_{field.upper()}", found
        if field in set_elsewhere:
            errors.append(f"{name} is set twice: by a variable or stack.env, and by the {origin}. Keep one of them.")
            continue
        try:
            values[field] = path.read_text(encoding="utf-8").removesuffix("\n")
        except OSError as error:
            errors.append(f"{name}: the {origin} cannot be read ({error.strerror}).")
        except UnicodeDecodeError:
            errors.append(f"{name}: the {origin} is not UTF-8 text.")
    return values, errors
