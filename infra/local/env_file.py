"""Read and write stack.env: one `NAME='value'` per line, readable only by its owner, replaced atomically."""

from collections.abc import Mapping
from glob import escape
from pathlib import Path

from dotenv import dotenv_values

from lakehouse.atomic_replace import replace_file
from lakehouse.errors import PermanentError

HEADER = "# Written by the local stack. It contains secrets: keep it readable only by its owner.\n"


def read_env_file(path: Path) -> dict[str, str]:
    """Return the variables of an env file, or an empty dictionary if there is none.

    Raises:
        PermanentError: the file belongs to another user.
    """
    try:
        found = dotenv_values(path, interpolate=False, encoding="utf-8")
    except PermissionError as error:
        raise PermanentError(
            f"{path} cannot be read: it belongs to the user who started the stack. Run as that user, "
            "or set OKR_STATE to a state folder of your own."
        ) from error
    return {name: value for name, value in found.items() if value is not None}


def write_env_file(path: Path, env: Mapping[str, str]) -> None:
    """Replace the file atomically, so that an interrupted start cannot leave an incomplete file.

    python-dotenv's `set_key` is not used, because it rewrites the file once per variable.

    This also removes drafts that earlier releases may have left behind. They contain secrets, and their names contain a
    process id.
    """
    text = HEADER + "".join(f"{name}={_quote(value)}\n" for name, value in sorted(env.items()))
    replace_file(path, text, mode=0o600)
    for draft in path.parent.glob(f"{escape(path.name)}.*.draft"):
        draft.unlink(missing_ok=True)


def _quote(value: str) -> str:
    """Quote a value for python-dotenv: in single quotes, with quotes and backslashes escaped by a backslash."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
