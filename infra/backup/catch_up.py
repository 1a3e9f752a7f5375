"""Bring the restored state tables up to the restored lake, if Kafka no longer has the events in between."""

import subprocess
from pathlib import Path

from infra.backup.lake import TableVersion
from infra.backup.restored_postgres import DATABASE, Recovered
from infra.backup.temporary_server import temporary_server
from infra.local.executables import program
from lakehouse.environment import for_children
from lakehouse.errors import PermanentError
from lakehouse.settings import ENVIRONMENT, SOURCE, Settings

STATE_TOPIC = "okr_user_events"  # as in ingestion/consumer_groups.py
ROLE = "okr_loader"


def is_needed(table: TableVersion | None, recovered: Recovered) -> bool:
    """Return whether the lake has events that the state tables lack."""
    applied = recovered.applied.get(STATE_TOPIC, {})
    return table is not None and any(applied.get(each, 0) < offset for each, offset in table.positions.items())


def apply_from_lake(data: Path, major: int, lake: Path, settings: Settings) -> str:
    """Run `okr consume state --from-lake` on restored folders, and return what it says.

    Raises:
        PermanentError: it failed, for instance because the key of personal fields is missing.
    """
    state = settings.state.absolute()
    with temporary_server(data, major, state, {}) as dsn:
        environment = for_children(state) | {
            SOURCE: ENVIRONMENT,
            "OKR_STATE": str(state),
            "OKR_LAKE_URI": str(lake),
            "OKR_DSN_LOADER": f"{dsn.replace('user=postgres', f'user={ROLE}')} dbname={DATABASE}",
            "OKR_FIELD_ENCRYPTION_KEY": settings.field_encryption_key.get_secret_value(),
        }
        done = subprocess.run(
            [program("okr"), "consume", "state", "--from-lake"],
            env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
    if done.returncode != 0:
        raise PermanentError(
            f"The state tables could not be brought up to the restored lake: {done.stderr.strip()[-500:]} If personal "
            "fields are encrypted, export OKR_FIELD_ENCRYPTION_KEY before the restore. Nothing was changed."
        )
    return done.stdout.strip()
