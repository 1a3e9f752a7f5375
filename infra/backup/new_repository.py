"""`okr backup init`: create the repository and its password."""

import secrets
import stat
from pathlib import Path

from pydantic import SecretStr

from infra.backup.run import open_repository
from infra.local.env_file import read_env_file, write_env_file
from lakehouse.atomic_replace import replace_file
from lakehouse.errors import PermanentError
from lakehouse.settings import STACK_ENV, Settings

PASSWORD_BYTES = 32


def create(settings: Settings, password_file: Path | None) -> list[str]:
    """Create the repository, and return what the operator must know.

    Raises:
        PermanentError: it exists, it is in the state folder, or there is no password.
        RetryableError: its location cannot be written.
    """
    state, lines = settings.state.absolute(), []
    if not settings.backup_repository:
        raise PermanentError(
            "Expected --repository or OKR_BACKUP_REPOSITORY: a folder on another disk, s3:https://... or sftp:..."
        )
    location = Path(settings.backup_repository)
    if location.is_relative_to(state) or location.resolve().is_relative_to(state.resolve()):
        raise PermanentError(
            f"{location} is in the state folder {state}, with which it would be lost. Choose another disk."
        )
    if not settings.backup_password.get_secret_value():
        if password_file is None:
            raise PermanentError(
                "Expected --password-file: a file with the password, or one to write a new password to."
            )
        settings = settings.model_copy(update={"backup_password": SecretStr(_new_password(password_file))})
        lines.append(f"{password_file} has the password of the repository. Without it, no backup can be read: store a "
                     "copy on another host.")  # fmt: skip
    open_repository(settings).create()
    lines.append(f"Created the repository {settings.backup_repository}.")
    if (state / STACK_ENV).is_file():
        own = own_settings(settings)
        write_env_file(state / STACK_ENV, read_env_file(state / STACK_ENV) | own)
        lines.append(
            "Run `okr down && okr up`: PostgreSQL then keeps what a restore to a time needs. Then `okr backup run`."
        )
    return lines


def own_settings(settings: Settings) -> dict[str, str]:
    """Return the settings of the repository as in stack.env."""
    return {
        "OKR_BACKUP_REPOSITORY": settings.backup_repository,
        "OKR_BACKUP_PASSWORD": settings.backup_password.get_secret_value(),
    }


def read_password(path: Path) -> str:
    """Read a password from a file.

    Raises:
        PermanentError: other users can read it, or it is empty.
    """
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise PermanentError(f"Other users can read {path}. `chmod 600 {path}`, and consider a new repository.")
    text = path.read_text(encoding="utf-8").strip()
    if not text:
        raise PermanentError(f"{path} is empty. Expected the password of the repository.")
    return text


def _new_password(path: Path) -> str:
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    replace_file(path, f"{password}\n", mode=0o600)
    return password
