"""The folder of a container with its secrets, one file each: `okr_jwt_secret`, `okr_dsn_owner` and so on."""

from pathlib import Path

from lakehouse.errors import PermanentError

FOLDER = Path("/run/secrets")


def read_secret(name: str, folder: Path = FOLDER) -> str:
    """Return a secret without the final line break.

    Raises:
        PermanentError: the file is missing, unreadable or empty.
    """
    file = folder / name
    try:
        value = file.read_text(encoding="utf-8").removesuffix("\n")
    except OSError as error:
        raise PermanentError(
            f"The secret {file} cannot be read ({error.strerror}). Mount it, readable by uid 10001."
        ) from error
    if not value:
        raise PermanentError(f"The secret {file} is empty.")
    return value
