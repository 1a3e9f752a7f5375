"""The examples in docs/connect.md run unchanged with an analyst's login."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from infra.analysts import logins
from infra.local.stack import Stack
from lakehouse.settings import Settings

PAGE = Path(__file__).parents[3] / "docs" / "connect.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def address(test_stack: Stack, postgres: Settings) -> Iterator[str]:
    """The address of an analyst's login for a warehouse with a scorecard behind a view, as after a publication."""
    superuser = test_stack.env["OKR_PG_SUPERUSER_DSN"]
    with psycopg.connect(postgres.require("dsn_transform"), autocommit=True) as transform:
        transform.execute("CREATE TABLE marts_build.scorecard AS SELECT 'KR-1' AS key_result_id, 'at_risk' AS status")
        transform.execute("CREATE VIEW marts.mart_okr_scorecard AS SELECT * FROM marts_build.scorecard")
    password = logins.add(superuser, "maria")
    try:
        yield postgres.require("dsn_analyst").replace(
            f"analyst:{test_stack.env['OKR_PG_ANALYST_PASSWORD']}@", f"maria:{password}@"
        )
    finally:
        logins.remove(superuser, "maria")
        with psycopg.connect(postgres.require("dsn_transform"), autocommit=True) as transform:
            transform.execute("DROP VIEW marts.mart_okr_scorecard")
            transform.execute("DROP TABLE marts_build.scorecard")


@pytest.mark.parametrize("example", EXAMPLES, ids=["pandas", "polars", "duckdb", "sqlalchemy"])
def test_an_example_of_the_page_runs_unchanged(address: str, example: str, tmp_path: Path) -> None:
    assert "maria:" in address
    done = subprocess.run(
        [sys.executable, "-c", example], env=os.environ | {"OKR_WAREHOUSE_DSN": address}, cwd=tmp_path,
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "at_risk" in done.stdout or "mart_okr_scorecard ['key_result_id', 'status']" in done.stdout
