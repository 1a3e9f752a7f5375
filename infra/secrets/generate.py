"""Make the secrets of an installation, and find what is wrong with those that exist."""

from collections.abc import Collection, Iterator, Mapping

from infra.secrets.forms import Addresses
from infra.secrets.table import BY_NAME, SECRETS
from lakehouse.errors import PermanentError

KEYS = "field_encryption_key"


def complete(kept: Mapping[str, str], renewed: Collection[str], addresses: Addresses) -> dict[str, str]:
    """Return all secrets of the table: those that are kept, and new ones for those that are missing or renewed.

    Raises:
        PermanentError: a name is not in the table, a secret that is kept has a wrong form, or the keys of personal
            fields would be replaced.
    """
    if unknown := sorted({*renewed} - BY_NAME.keys()):
        raise PermanentError(f"{', '.join(unknown)} is not a secret. Expected one of {', '.join(BY_NAME)}.")
    if KEYS in renewed and kept.get(KEYS):
        raise PermanentError(
            f"{KEYS} cannot be renewed, because what is encrypted with it could not be read any more. "
            "`docs/encryption.md` says how to change the key."
        )
    values = {name: value for name, value in kept.items() if name not in renewed}
    new = {secret.name: secret.form.new(addresses) for secret in SECRETS if secret.name not in values}
    made = {name: value for name, value in new.items() if value} | values
    if found := [*problems(made)]:
        raise PermanentError("\n  ".join(["The secrets are not usable, so nothing was written:", *found]))
    return {secret.name: made[secret.name] for secret in SECRETS if secret.name in made}


def problems(values: Mapping[str, str]) -> Iterator[str]:
    """Yield a line for each secret that is missing, unknown, malformed, or equal to another one; none shows a value."""
    for name in sorted(values.keys() - BY_NAME.keys()):
        yield f"{name}: no part of the platform uses a secret of this name. Correct the name, or remove it."
    owners: dict[str, str] = {}
    for secret in SECRETS:
        value = values.get(secret.name, "")
        if not value and secret.is_optional:
            continue
        problem = secret.form.problem(value) if value else "none"
        if problem:
            yield f"{secret.name}: expected {secret.form.text}; got {problem}."
            continue
        owner = owners.setdefault(secret.form.password(value), secret.name)
        if owner != secret.name:
            yield f"{secret.name}: expected a secret of its own; got the same one as in {owner}."
