"""All checks of `okr installation audit`, in the order in which they run."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Any

from infra.audit import (
    accounts,
    analyst_limits,
    connections,
    debug_settings,
    environment,
    file_permissions,
    kafka_access,
    listening_ports,
    postgres_rights,
    postgres_server,
    redis_users,
    secret_strength,
)  # fmt: skip
from infra.audit.accepted import Accepted
from infra.audit.finding import Finding, NotChecked
from infra.audit.installation import Installation
from lakehouse.errors import OkrError

Check = Callable[[Installation], Iterable[Finding]]
CHECKS: Mapping[str, Check] = MappingProxyType(
    {
        "environment": environment.check,
        "secrets": secret_strength.check,
        "files": file_permissions.check,
        "ports": listening_ports.check,
        "connections": connections.check,
        "postgres-rights": postgres_rights.check,
        "postgres-server": postgres_server.check,
        "analysts": analyst_limits.check,
        "redis": redis_users.check,
        "kafka": kafka_access.check,
        "accounts": accounts.check,
        "debug": debug_settings.check,
    }
)


@dataclass(frozen=True)
class Result:
    """What one check found. `not_checked` says why it does not apply, and is empty if it ran.

    `accepted` are the findings that occurred but that the operator accepts; `findings` does not contain them.
    """

    check: str
    findings: tuple[Finding, ...] = ()
    not_checked: str = ""
    accepted: tuple[Accepted, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the result for JSON."""
        return asdict(self)


def run(name: str, installation: Installation, accepted: Iterable[Accepted] = ()) -> Result:
    """Run one check. If it fails, that is a finding: what could not be checked must not look as if it were right."""
    result = _run(name, installation)
    reasons = {(each.subject, each.found): each for each in accepted if each.check == name}
    occurred = {(finding.subject, finding.found) for finding in result.findings}
    return replace(
        result,
        findings=tuple(each for each in result.findings if (each.subject, each.found) not in reasons),
        accepted=tuple(each for key, each in reasons.items() if key in occurred),
    )


def _run(name: str, installation: Installation) -> Result:
    import psutil
    import psycopg
    import redis

    try:
        return Result(name, tuple(CHECKS[name](installation)))
    except NotChecked as reason:
        return Result(name, not_checked=str(reason))
    except Exception as error:
        # The text of an unexpected error can contain the value of a setting.
        is_known = isinstance(error, OkrError | OSError | psutil.Error | psycopg.Error | redis.RedisError)
        cause = f"{type(error).__name__}: {error}" if is_known else type(error).__name__
        return Result(name, (Finding(f"the check {name}", "to be completed", cause, "Fix that, and run it again."),))
