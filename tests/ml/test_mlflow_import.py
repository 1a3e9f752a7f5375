"""MLflow can be imported after an import of it has failed."""

import subprocess
import sys
from pathlib import Path

# The first import of one module fails, as it does if another thread is importing a package that both need.
CODE = """
import sys
from pydantic import SecretStr
from lakehouse.settings import Settings
from ml import mlflow_client

class FailsOnce:
    failed = False

    def find_spec(self, name, path=None, target=None):
        if name == "mlflow.tracking.client" and not self.failed:
            FailsOnce.failed = True
            raise ImportError("cannot import name 'X' from partially initialized module")

sys.meta_path.insert(0, FailsOnce())
settings = Settings(mlflow_store_uri=SecretStr("sqlite:///" + sys.argv[1]))
with mlflow_client.client(settings) as client:
    found = mlflow_client.registered_model(client, "model")
print(FailsOnce.failed, found)
"""


def test_a_failed_import_does_not_make_later_ones_fail(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CODE, str(tmp_path / "mlflow.db")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.split() == ["True", "None"], done.stderr
