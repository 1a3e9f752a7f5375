"""Rules for revisions: what the previous release uses is not removed, and no table is rewritten or locked for long."""

import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest

from infra.migrations.revisions import can_be_reverted, is_contract, scripts

SQUAWK = Path(sys.executable).with_name("squawk")
ROOT = Path(__file__).parents[2]
RULES_SINCE = "0041"  # earlier revisions were applied while all services were stopped
REMOVALS = (
    "ban-drop-column", "ban-drop-constraint", "ban-drop-function", "ban-drop-not-null", "ban-drop-schema",
    "ban-drop-table", "ban-drop-view", "changing-column-type", "renaming-column", "renaming-object", "renaming-table",
)  # fmt: skip
REVISIONS = [script for script in scripts().walk_revisions() if script.revision >= RULES_SINCE]


def squawk(*arguments: str, sql: str = "") -> list[str]:
    """Return the findings of the linter as `rule line`."""
    done = subprocess.run(
        [SQUAWK, "--reporter", "json", *arguments], cwd=ROOT, input=sql, capture_output=True, text=True, check=False
    )
    assert done.stdout, done.stderr
    return [f"{found['rule_name']} {found['line'] + 1}" for found in json.loads(done.stdout)]


@pytest.mark.parametrize("revision", REVISIONS, ids=[script.revision for script in REVISIONS])
def test_a_revision_follows_the_rules(revision):
    sql = Path(revision.path).with_suffix(".sql")
    excluded = [f"--exclude={rule}" for rule in REMOVALS] if is_contract(revision) else []
    assert squawk(*excluded, str(sql)) == []
    body = inspect.getsource(revision.module.upgrade)
    assert "op." not in body, f"{revision.path}: put the statements of `upgrade` into {sql.name}, which is linted"


@pytest.mark.parametrize(
    ("statement", "rule"),
    [
        ("ALTER TABLE ops.ledger DROP COLUMN landed;", "ban-drop-column"),
        ("ALTER TABLE ops.ledger RENAME COLUMN landed TO arrived;", "renaming-column"),
        ("ALTER TABLE ops.ledger ALTER COLUMN landed TYPE int;", "changing-column-type"),
        ("ALTER TABLE ops.ledger ADD COLUMN n int NOT NULL;", "adding-required-field"),
        ("ALTER TABLE ops.ledger ALTER COLUMN landed SET NOT NULL;", "adding-not-nullable-field"),
        ("ALTER TABLE ops.ledger ADD CONSTRAINT c CHECK (landed > 0);", "constraint-missing-not-valid"),
        ("DROP TABLE ops.ledger;", "ban-drop-table"),
    ],
)
def test_the_linter_finds(statement, rule):
    assert f"{rule} 1" in squawk("--stdin-filepath", "planted.sql", sql=statement)


def test_new_revisions_can_be_reverted():
    assert [script.revision for script in REVISIONS if script.revision > "0049" and not can_be_reverted(script)] == []
