"""Airflow, which writes the logs of tasks itself, masks the platform's secrets in them."""

import os
import subprocess
import sys
from pathlib import Path

CODE = """
import airflow_local_settings
airflow_local_settings.mask_secrets()
from airflow.sdk.log import mask_logs
event = "cannot connect to postgresql://u:planted-in-a-dsn@db/okr"
print(mask_logs(None, "info", {"event": event, "x": ["planted-token"]}))
"""


def test_secrets_of_the_platform_are_masked_in_the_logs_of_tasks(tmp_path: Path) -> None:
    root = Path(__file__).parents[3]
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(tmp_path), "AIRFLOW_HOME": str(tmp_path),
        "PYTHONPATH": f"{root / 'infra/local/airflow_config'}:{root}",
        "OKR_DSN_LOADER": "postgresql://u:planted-in-a-dsn@db/okr", "OKR_METRICS_TOKEN": "planted-token",
    }  # fmt: skip
    done = subprocess.run([sys.executable, "-c", CODE], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "planted" not in done.stdout
    assert "postgresql://u:***@db/okr" in done.stdout
