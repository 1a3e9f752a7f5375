"""The file of secrets for Ansible: YAML with one dictionary, `vault_okr_secrets` (docs/secrets.md)."""

import json
import re
from collections.abc import Mapping

from lakehouse.errors import PermanentError

NAME = "vault_okr_secrets"
ENCRYPTED = "$ANSIBLE_VAULT"
_LINE = re.compile(r"\s+([a-z][a-z0-9_]*):\s+(\S.*?)\s*")


def to_text(values: Mapping[str, str]) -> str:
    """Return the file. Values are quoted as in JSON, which YAML reads, too."""
    lines = (f"  {name}: {json.dumps(value)}\n" for name, value in values.items())
    return "".join([f"{NAME}:\n", *lines])


def from_text(text: str) -> dict[str, str]:
    """Return the secrets in a file that is decrypted: one line each, `name: "value"`. Comments are ignored.

    Raises:
        PermanentError: the file is encrypted or has another form. The message shows no value.
    """
    if text.startswith(ENCRYPTED):
        raise PermanentError(
            "The vault is encrypted. Expected its content: `ansible-vault view FILE | okr secrets ...`."
        )
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if _has_content(line)]
    if not lines or lines[0][1].rstrip() != f"{NAME}:":
        raise PermanentError(f"Expected the line `{NAME}:` first, and then one line for each secret.")
    values: dict[str, str] = {}
    for number, line in lines[1:]:
        found = _LINE.fullmatch(line)
        if not found:
            raise PermanentError(f'Line {number} is not a secret. Expected two spaces and `name: "value"`.')
        if found[1] in values:
            raise PermanentError(f"Line {number} contains {found[1]} again. Remove one of the two lines.")
        values[found[1]] = _value(found[2], number)
    return values


def _has_content(line: str) -> bool:
    return line.strip() not in ("", "---") and not line.lstrip().startswith("#")


def _value(text: str, number: int) -> str:
    if not text.startswith('"'):
        return text.strip("'")
    try:
        return str(json.loads(text))
    except json.JSONDecodeError:
        raise PermanentError(f"Line {number} does not end with a double quote, or has more after it.") from None
