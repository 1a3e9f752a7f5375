"""Where the parts are on this host, and the files that belong to them."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from infra.backup import kafka
from infra.local.env_file import read_env_file
from lakehouse.errors import PermanentError
from lakehouse.settings import STACK_ENV, Settings

SERVER_SETTINGS = Path("/etc/okr/okr.env")
# Without these, the repository would contain the key to what it contains, or to itself (ADR 34, ADR 43).
NEVER_SAVED = ("OKR_FIELD_ENCRYPTION_KEY", "OKR_BACKUP_PASSWORD")
SUPERUSER = "OKR_PG_SUPERUSER_PASSWORD"
DIGEST_LENGTH = 16


@dataclass(frozen=True)
class Places:
    """The folders of the parts, and the work folder of backups, which contains the log since the last base backup."""

    state: Path
    lake: str
    models: Path
    kafka: Path

    @classmethod
    def of(cls, settings: Settings) -> "Places":
        """Return the places that the settings name."""
        state = settings.state.absolute()
        models = Path(settings.mlflow_artifacts or state / "mlflow")
        return cls(
            state, settings.lake_uri or str(state / "lake"), models.resolve(),
            Path(settings.backup_kafka_data or state / "kafka" / "data"),
        )  # fmt: skip

    @property
    def work(self) -> Path:
        """Return the work folder."""
        return self.state / "backup"

    @property
    def wal(self) -> Path:
        """Return the folder with the received write-ahead log."""
        return self.work / "wal"

    def model_files(self) -> list[Path]:
        """Return MLflow's artifacts.

        Raises:
            PermanentError: they are in object storage.
        """
        if ":/" in str(self.models):
            raise PermanentError(
                f"MLflow's artifacts are in object storage ({self.models}), which `okr backup` does not copy: switch "
                "on versioning and replication of the bucket, and leave out the part models (docs/backup.md)."
            )
        return sorted(path for path in self.models.rglob("*") if path.is_file()) if self.models.is_dir() else []

    def kafka_files(self) -> list[Path]:
        """Return the files with Kafka's definitions."""
        return kafka.files_of(self.kafka)

    def settings_text(self) -> str:
        """Return the settings and secrets without those that no backup may contain.

        Raises:
            PermanentError: there are none.
        """
        for path in (self.state / STACK_ENV, SERVER_SETTINGS):
            if path.is_file():
                kept = {name: value for name, value in read_env_file(path).items() if name not in NEVER_SAVED}
                return "".join(f"{name}={value}\n" for name, value in sorted(kept.items()))
        raise PermanentError(f"There are no settings: expected {self.state / STACK_ENV} or {SERVER_SETTINGS}.")

    def password_digest(self) -> str:
        """Return a digest of the password that the local stack's PostgreSQL must know; "" on servers."""
        password = read_env_file(self.state / STACK_ENV).get(SUPERUSER, "")
        return hashlib.sha256(password.encode()).hexdigest()[:DIGEST_LENGTH] if password else ""
