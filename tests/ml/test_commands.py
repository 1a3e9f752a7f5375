import os
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import pytest
from typer.testing import CliRunner, Result

from lakehouse.errors import PermanentError
from lakehouse.settings import Settings
from ml.commands import app
from tests.okr_command import OKR


def environment(settings: Settings) -> dict[str, str]:
    return {
        "OKR_DSN_SERVING": settings.require("dsn_serving"),
        "OKR_MLFLOW_STORE_URI": settings.require("mlflow_store_uri"),
        "OKR_MLFLOW_ARTIFACTS": settings.mlflow_artifacts,
        "OKR_STATE": str(Path(settings.mlflow_artifacts).parent),
    }


def okr(settings: Settings, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the program. Its imports take 3 s, so only the tests of the program itself do this."""
    values = os.environ | environment(settings)
    command = [OKR, "forecast", *arguments]
    return subprocess.run(command, env=values, capture_output=True, text=True, timeout=240, check=False)


def forecast(settings: Settings, *arguments: str) -> Result:
    """Run the command in this process."""
    with patch.dict(os.environ, environment(settings)):
        return CliRunner().invoke(app, arguments)


def test_the_commands_import_no_heavy_package() -> None:
    probe = "import sys, ml.commands; print([n for n in ('numpy', 'mlflow', 'xgboost', 'sklearn') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_train_promote_list_and_evaluate(settings: Settings) -> None:
    assert "the prior serves" in forecast(settings, "models").stdout
    trained = okr(settings, "train")
    assert trained.returncode == 0, trained.stderr
    assert "Version 1 registered as challenger" in trained.stdout
    assert "pacing_rule" in trained.stdout
    promoted = forecast(settings, "promote")
    assert "Version 1: promoted." in promoted.stdout, promoted.exception
    assert "challenger" in forecast(settings, "models").stdout
    assert "owner_confidence" in forecast(settings, "evaluate").stdout
    listed = okr(settings, "rollback")
    assert listed.returncode == 1
    assert "Nothing was changed: version 1 is the champion. There is no earlier champion" in listed.stderr
    assert forecast(settings, "rollback", "--to", "1").stdout == "Version 1 is already the champion.\n"


def test_a_backtest_before_the_first_publication_says_what_to_do(
    settings: Settings, fresh_database: Settings, tmp_path: Path
) -> None:
    nothing = settings.model_copy(update={"dsn_serving": fresh_database.dsn_serving})
    done = forecast(nothing, "backtest", "--out", str(tmp_path / "f.csv"))
    assert isinstance(done.exception, PermanentError)
    assert "no feature mart has been published yet" in str(done.exception)
    assert not (tmp_path / "f.csv").exists()


@pytest.mark.parametrize("cycles", [(), ("--cycles", "2025-Q3")])
def test_a_backtest_writes_the_named_cycles(settings: Settings, tmp_path: Path, cycles: tuple[str, ...]) -> None:
    out = tmp_path / "f.csv"
    done = forecast(settings, "backtest", "--out", str(out), *cycles)
    assert done.exit_code == 0, done.exception
    assert f"forecasts written to {out}." in done.stdout
    assert out.read_text(encoding="utf-8").startswith("key_result_id,as_of,probability,low,high\n")
