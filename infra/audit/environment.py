"""The environment profile, and the settings that staging and production require."""

from collections.abc import Iterator

from infra.audit.finding import Finding
from infra.audit.installation import Installation
from lakehouse.configuration.profiles import Environment


def check(installation: Installation) -> Iterator[Finding]:
    """Yield a finding for each invalid setting, and one for a server that runs as development."""
    for error in installation.settings_errors:
        name, _, problem = error.partition(": ")
        yield Finding(name, "a valid setting", problem or "an error", "`okr config show` shows where it comes from.")
    environment = installation.settings.environment
    if environment is Environment.DEVELOPMENT and installation.stack is None:
        yield Finding(
            "OKR_ENVIRONMENT", "staging or production, because this is not a local stack", str(environment),
            "Set it in /etc/okr/okr.env, and correct what `okr config check` then reports.",
        )  # fmt: skip
