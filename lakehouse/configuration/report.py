"""All settings with their values, secrets masked, and where each value comes from."""

import os
from collections.abc import Collection
from dataclasses import dataclass
from difflib import get_close_matches

from dotenv import dotenv_values
from pydantic import SecretStr

from lakehouse.configuration.profiles import DEFAULTS
from lakehouse.configuration.secret_files import SUFFIX, secret_file
from lakehouse.settings import STACK_ENV, Settings, is_environment_only, secret_fields

MASK = "********"
# Variables of ours that are not settings.
OTHERS = frozenset(
    {
        "OKR_SETTINGS", "OKR_STATE", "OKR_READY_FILE", "OKR_SHARED", "OKR_STACK_ID",
        "OKR_SERVICE", "OKR_LOG_LEVEL_FILE",  # set for services, in their units and by the local stack
        "OKR_PORT_AIRFLOW", "OKR_PORT_MLFLOW",  # where their units listen on loopback (infra/server)
    }
)  # fmt: skip


@dataclass(frozen=True)
class Setting:
    """A setting as shown to operators. `value` is masked if it is secret, and empty if it is not set."""

    name: str
    value: str
    origin: str
    is_secret: bool


def report(settings: Settings) -> list[Setting]:
    """Return all settings in the order of their definition."""
    in_stack_env = _stack_env(settings)
    profile = DEFAULTS[settings.environment]
    found = []
    for field in Settings.model_fields:
        value = getattr(settings, field)
        secret = isinstance(value, SecretStr)
        text = value.get_secret_value() if secret else str(value)
        shown = MASK if secret and text else text
        found.append(Setting(f"OKR_{field.upper()}", shown, _origin(field, in_stack_env, profile), secret))
    return found


def misspelt() -> list[str]:
    """Return a line for each exported OKR_* variable that is no setting, with similar names.

    The stack exports more variables to its services than they have settings, so this is for servers only.
    """
    secrets = {f"OKR_{field.upper()}{SUFFIX}" for field in secret_fields()}
    known = {f"OKR_{field.upper()}" for field in Settings.model_fields} | secrets | OTHERS
    unknown = sorted(name for name in os.environ if name.startswith("OKR_") and name.upper() not in known)
    return [_misspelt(name, known) for name in unknown]


def _misspelt(name: str, known: Collection[str]) -> str:
    similar = get_close_matches(name.upper(), known, n=1)
    return f"{name} is not a setting." + (f" Did you mean {similar[0]}?" if similar else "")


def _stack_env(settings: Settings) -> Collection[str]:
    path = settings.state / STACK_ENV
    if is_environment_only() or not path.is_file():
        return ()
    return dotenv_values(path).keys()


def _origin(field: str, in_stack_env: Collection[str], profile: Collection[str]) -> str:
    name = f"OKR_{field.upper()}"
    if name in in_stack_env:
        return STACK_ENV
    if name in {each.upper() for each in os.environ}:
        return "environment"
    if field in secret_fields() and (found := secret_file(field)) is not None:
        return found[0]
    return "profile" if field in profile else "default"
