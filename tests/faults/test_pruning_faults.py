"""Pruning is killed before and after each of its steps. The ledger balances then, and the next run does the rest."""

from pathlib import Path

import pytest

from ingestion.maintenance import pruning
from lakehouse.settings import Settings
from tests.ingestion.crash import run_until_killed
from tests.ingestion.maintenance.pruned_metrics import TOPIC, fill, ledger_of, prune_before, raw_rows

OLD, NEW = 60, 20
AFTER = """
def after(step):
    def injected(*arguments):
        step(*arguments)
        die()
    return injected
"""
STEPS = {
    "before it plans": "pruning._plan = die",
    "between the plan and the commit": "pruning._commit = die",
    "during the commit": "pruning.commit = after(pruning.commit)",
    "between the commit and the deletion from raw": "pruning._commit = after(pruning._commit)",
    "between the deletions of two partitions": "pruning._delete = after(pruning._delete)",
    "after it has finished": "",
}
COMMAND = f"""
from datetime import UTC, datetime
from lakehouse.lake import open_table, table_uri
uri = table_uri(settings.lake_uri, {TOPIC!r})
pruning.SLACK_DAYS = 0
pruning.prune(settings, {TOPIC!r}, open_table(uri), uri, datetime.fromtimestamp(BORDER, UTC))
die()
"""


@pytest.mark.parametrize("step", STEPS)
def test_pruning_is_killed(step: str, pipeline: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "SLACK_DAYS", 0)
    border = fill(pipeline, OLD, NEW)
    arm = f"from ingestion.maintenance import pruning\n{AFTER}\n{STEPS[step]}"
    run_until_killed(pipeline, arm, COMMAND.replace("BORDER", str(border)), tmp_path)
    assert ledger_of(pipeline).problems == []
    prune_before(pipeline, border)
    after = ledger_of(pipeline)
    assert (after.problems, after.pruned, after.landed, after.loaded) == ([], OLD + 1, NEW, NEW)
    assert raw_rows(pipeline) == NEW
