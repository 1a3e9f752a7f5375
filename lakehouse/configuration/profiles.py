"""The environments: development, staging and production. Each has its own defaults and requirements.

This is the only place where the environments differ. Staging has production's requirements, so that a configuration
that starts in staging also starts in production.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any


class Environment(StrEnum):
    """Where the platform runs."""

    DEVELOPMENT = "development"
    STAGING = "staging"
    PRODUCTION = "production"

    @property
    def is_shared(self) -> bool:
        """Whether other people depend on the environment. If so, connections must be encrypted and secrets strong."""
        return self is not Environment.DEVELOPMENT


# Defaults that differ from the defaults in `Settings`. A variable takes precedence.
_SHARED: Mapping[str, Any] = MappingProxyType({"log_json": True})
DEFAULTS: Mapping[Environment, Mapping[str, Any]] = MappingProxyType(
    {
        Environment.DEVELOPMENT: MappingProxyType({}),
        Environment.STAGING: _SHARED,
        Environment.PRODUCTION: MappingProxyType({**_SHARED, "api_workers": 2}),
    }
)
