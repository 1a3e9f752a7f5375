"""The version of PostgreSQL that the platform needs."""

from lakehouse.errors import PermanentError

NEEDED = 18  # publishing restores planner statistics, and roles have rights that earlier versions do not know (ADR 14)


def require_version(server_version_num: int) -> None:
    """Check the version of a server, as `SHOW server_version_num` returns it: 180001 for 18.1.

    Raises:
        PermanentError: the server is too old.
    """
    if server_version_num < NEEDED * 10_000:
        raise PermanentError(
            f"The server is PostgreSQL {server_version_num // 10_000}, expected {NEEDED} or later. Nothing was "
            f"changed. Install postgresql-{NEEDED} from apt.postgresql.org (docs/installation.md)."
        )
