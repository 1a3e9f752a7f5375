"""What a deployment needs to know about its host: folders, links, units and limits."""

import os
import tomllib
from pathlib import Path
from typing import Literal

from dotenv import dotenv_values
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lakehouse.environment import CREDENTIALS, for_own_commands
from lakehouse.errors import PermanentError
from lakehouse.settings import state_folder

CONFIG = Path("/etc/okr/deploy.toml")
COLOURS = ("blue", "green")


class Limits(BaseModel):
    """Time limits in seconds, and what a new release may at most do to its callers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    start_s: float = Field(default=60, gt=0, description="until a started process is ready")
    stop_s: float = Field(default=30, gt=0, description="until a stopped process has drained; then it is killed")
    settle_s: float = Field(default=2, ge=0, description="between the switch and the stop of the old colour")
    watch_s: float = Field(default=60, ge=0, description="how long a new release is watched after the switch")
    max_error_share: float = Field(default=0.01, ge=0, le=1, description="share of requests with status 5xx")
    max_p95_ms: float = Field(default=500, gt=0, description="95th percentile of the duration of requests")
    min_requests: int = Field(default=20, ge=1, description="requests before the limits apply")
    steady_s: float = Field(default=30, ge=0, description="how long workers must run after the hand-over")
    min_free_mb: int = Field(default=200, ge=0, description="free disk space at the start")


class Host(BaseModel):
    """The layout of a host. The defaults are those of a server; `/etc/okr/deploy.toml` changes them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    root: Path = Path("/opt/okr")
    sockets: Path = Path("/run/okr/api")
    state: Path = Path("/var/lib/okr/deploy")
    executable: str = ".venv/bin/okr"
    environment_file: Path | None = Path("/etc/okr/okr.env")
    secrets: Path | None = Path("/etc/okr/secrets")
    boot_file: Path | None = Path("/etc/tmpfiles.d/okr-current-socket.conf")
    account: str = Field(default="app", description="account of the golden predictions; password: OKR_APP_PASSWORD")
    api: str = "okr-api@{colour}"
    landing: tuple[str, ...] = tuple(f"okr-land@{number}" for number in range(1, 10))
    workers: tuple[str, ...] = (
        "okr-state", "okr-metrics", "okr-guard", "okr-mlflow", "okr-airflow-api-server", "okr-airflow-dag-processor",
        "okr-airflow-scheduler", "okr-airflow-triggerer",
    )  # fmt: skip
    runner: Literal["systemd", "processes"] = "systemd"
    commands: dict[str, list[str]] = Field(default={}, description="runner = processes: the command of each unit")
    limits: Limits = Limits()

    @classmethod
    def read(cls, file: Path = CONFIG) -> "Host":
        """Return the layout from a file, or the defaults if the default file does not exist.

        Raises:
            PermanentError: the file is missing or invalid.
        """
        try:
            return cls.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
        except FileNotFoundError:
            if file == CONFIG:
                return cls()
            raise PermanentError(f"There is no file {file}.") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise PermanentError(f"{file} is not valid TOML: {error}.") from error
        except ValidationError as error:
            lines = (f"{'.'.join(map(str, each['loc']))}: {each['msg']}." for each in error.errors())
            raise PermanentError("\n  ".join([f"{file} is invalid:", *lines])) from error

    def load_environment(self) -> None:
        """Set the settings of the services, for this process and the commands that it runs. Variables take precedence.

        Raises:
            PermanentError: the file cannot be read.
        """
        try:
            if self.environment_file is not None and self.environment_file.is_file():
                for name, value in dotenv_values(self.environment_file).items():
                    os.environ.setdefault(name, value or "")
        except OSError as error:
            raise PermanentError(f"{error.filename} cannot be read: {error.strerror}. Run this as root.") from error
        os.environ.setdefault("OKR_STATE", str(self.state))
        if self.secrets is not None and self.secrets.is_dir():
            os.environ.setdefault(CREDENTIALS, str(self.secrets))

    def environment(self) -> dict[str, str]:
        """Return the environment of a command of a release."""
        passed_on = {CREDENTIALS: os.environ[CREDENTIALS]} if CREDENTIALS in os.environ else {}
        return for_own_commands(state_folder()) | passed_on

    def release(self, version: str) -> Path:
        """Return the folder of a release.

        Raises:
            PermanentError: there is no such release, or it is incomplete.
        """
        folder = self.root / "releases" / version
        if "/" in version or version.startswith(".") or not os.access(folder / self.executable, os.X_OK):
            known = ", ".join(sorted(each.parent.name for each in self._installed())) or "none"
            raise PermanentError(f"Expected a release with {self.executable} in {folder}. Installed releases: {known}.")
        return folder

    def socket(self, colour: str) -> Path:
        """Return the socket of a colour."""
        return self.sockets / f"{colour}.sock"

    @property
    def current_socket(self) -> Path:
        """Return the link through which nginx reaches the serving colour."""
        return self.sockets / "current.sock"

    def api_unit(self, colour: str) -> str:
        """Return the unit of a colour."""
        return self.api.format(colour=colour)

    def _installed(self) -> list[Path]:
        top = Path(self.executable).parts[0]
        return [
            each
            for each in (self.root / "releases").glob(f"*/{top}")
            if os.access(each.parent / self.executable, os.X_OK)
        ]
