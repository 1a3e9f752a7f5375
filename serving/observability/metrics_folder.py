"""The folder in which the workers of one `okr serve` share their metrics. It does not import prometheus_client."""

import os
from pathlib import Path

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"  # prometheus_client reads it when it is imported


def prepare_folder(state: Path, listener: str) -> None:
    """Let this process and its children keep their metrics in an empty folder, which is named after the port or socket.

    Call this once per `okr serve`, before the first import of prometheus_client. Counters start at 0 again.
    """
    folder = state / "run" / "metrics" / f"api-{listener}"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for file in folder.glob("*.db"):
        file.unlink(missing_ok=True)
    os.environ[FOLDER_VARIABLE] = str(folder)
