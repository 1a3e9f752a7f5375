"""Runs the unit tests beside the models; the pipeline skips them to save time."""

import re
from pathlib import Path
from typing import Any

MODELS = Path(__file__).parents[2] / "dbt_project" / "models"


def test_the_unit_tests_beside_the_models_pass(dbt: Any) -> None:
    dbt.run("build", "--exclude-resource-type=unit_test")  # unit tests read the columns of the mocked tables
    printed = dbt.run("test", "--resource-type=unit_test")
    written = sum(
        len(re.findall(r"^ {4}model: ", path.read_text(encoding="utf-8"), re.M)) for path in MODELS.rglob("*.yml")
    )
    assert f"PASS={written} " in printed
    assert written >= 10
