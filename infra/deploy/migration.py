"""Migrate the schema with a release: a process of that release, because it has the revisions."""

import subprocess
from collections.abc import Callable

from infra.deploy.host import Host
from lakehouse.errors import RetryableError

MIGRATE_S = 3600.0


def migrate(host: Host, release: str, say: Callable[[str], None], *arguments: str) -> list[str]:
    """Run the release's `okr migrate --online`, and return the lines that it printed.

    Raises:
        RetryableError: the migration failed, or took longer than an hour.
    """
    command = [str(host.release(release) / host.executable), "migrate", "--online", *arguments]
    try:
        done = subprocess.run(
            command, env=host.environment(), capture_output=True, text=True, timeout=MIGRATE_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise RetryableError(f"The migration took longer than {MIGRATE_S:.0f} s.") from None
    for line in done.stdout.splitlines():
        say(f"  {line}")
    if done.returncode != 0:
        raise RetryableError(f"The migration failed: {' '.join(done.stderr.split())[-1000:]}")
    return done.stdout.splitlines()
