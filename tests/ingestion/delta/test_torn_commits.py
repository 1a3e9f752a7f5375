"""Every truncation of a commit file that a reader would accept as whole is detected."""

import itertools
import json
from pathlib import Path

import pytest

from ingestion.batch import Span
from ingestion.delta.log import DeltaLog
from ingestion.delta.torn_commits import torn_reason
from ingestion.landing.commit import LandingTable
from ingestion.maintenance.compaction import compact
from lakehouse.lake import open_table, table_uri
from tests.ingestion.maintenance.test_maintenance import batch

TOPIC = "okr_user_events"


@pytest.fixture
def log(tmp_path: Path) -> DeltaLog:
    """The log of two appends and a compaction."""
    table = LandingTable(str(tmp_path), TOPIC, "cluster", "okr-landing")
    for start in (0, 10):
        table.refresh()
        table.append(batch(0, start, 10), {0: Span(table.next_offset(0), start + 10)})
    uri = table_uri(str(tmp_path), TOPIC)
    compact(open_table(uri), uri)
    return DeltaLog(table_uri(str(tmp_path), TOPIC))


def test_whole_commits_of_every_kind_are_not_torn(log: DeltaLog) -> None:
    operations = [json.loads(log.commit(each).read_text().splitlines()[0]) for each in log.commits()]
    assert [each["commitInfo"]["operation"] for each in operations] == ["CREATE TABLE", "WRITE", "WRITE", "WRITE"]
    assert [torn_reason(log.commit(each).read_bytes()) for each in log.commits()] == [""] * 4


@pytest.mark.parametrize("version", [1, 3])
def test_a_commit_truncated_at_any_byte_is_torn(log: DeltaLog, version: int) -> None:
    whole = log.commit(version).read_bytes()
    unnoticed = [length for length in range(1, len(whole)) if not torn_reason(whole[:length])]
    assert unnoticed == []


def test_an_empty_commit_is_a_commit_without_actions(log: DeltaLog) -> None:
    assert torn_reason(b"") == ""


def test_a_landing_commit_must_have_as_many_offsets_as_it_states(log: DeltaLog) -> None:
    info, *actions = log.commit(1).read_text().splitlines()
    first = json.loads(info)
    first["commitInfo"] |= {"files": 1, "partitions": 2}
    assert torn_reason("\n".join([json.dumps(first), *actions]).encode()) == "it has only 1 of 2 txn actions"


def test_commits_of_other_engines_only_need_valid_json() -> None:
    lines = ['{"commitInfo":{"operation":"WRITE","engineInfo":"Apache-Spark/3.5"}}', '{"add":{}}']
    assert torn_reason("\n".join([*lines, ""]).encode()) == ""
    assert torn_reason("\n".join(itertools.chain(lines, ['{"txn":'])).encode()) == "it ends within a line"
