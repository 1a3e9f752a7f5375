"""The commands of the sources against a real broker: the printed counts match the broker's."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaException, TopicPartition
from typer.testing import CliRunner

from ingestion.sources.commands import app
from ingestion.sources.okr_files import importer
from ingestion.sources.okr_files.row_to_events import SOURCE
from ingestion.spool import Spool, SpoolFullError
from lakehouse.contracts import TOPICS
from lakehouse.errors import OkrError
from lakehouse.settings import Settings
from tests.ingestion import crash

RUNNER = CliRunner()
OKR = "\n".join(
    [
        "from lakehouse.logs import configure_logging; configure_logging()",
        "from ingestion.sources.commands import app; app()",
    ]
)


@pytest.fixture
def environment(kafka: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Configure the commands for the test's broker and their own state folder."""
    monkeypatch.setenv("OKR_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("OKR_KAFKA_BOOTSTRAP", kafka.kafka_bootstrap)
    return tmp_path


def _broker_counts(bootstrap: str) -> Counter[str]:
    """Return the number of messages on the broker, by topic."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "count"})
    try:
        for attempt in range(10):  # a new topic may not have a leader yet
            try:
                return Counter({topic: _count_topic(consumer, topic) for topic in TOPICS})
            except KafkaException:
                time.sleep(0.2 * attempt)
        raise AssertionError("the broker has no leader for its topics")
    finally:
        consumer.close()


def _count_topic(consumer: Consumer, topic: str) -> int:
    held = 0
    for partition in consumer.list_topics(topic, timeout=10).topics[topic].partitions:
        low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)
        held += high - low
    return held


def _run(*arguments: str) -> str:
    result = RUNNER.invoke(app, arguments)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def _json(*arguments: str) -> dict[str, Any]:
    """Run a command with --json in its own process, where threads of other tests cannot print."""
    command = [*crash.OKR, *arguments, "--json"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert answer.returncode == 0, answer.stderr
    document: dict[str, Any] = json.loads(answer.stdout)
    return document


def test_the_printed_tally_of_a_simulation_matches_the_broker(kafka: Settings, environment: Path) -> None:
    before = _broker_counts(kafka.kafka_bootstrap)
    report = _json("produce", "simulation", "--scale", "small")
    arrived = _broker_counts(kafka.kafka_bootstrap) - before

    assert arrived == {topic: count["produced"] for topic, count in report["topics"].items()}
    assert report["topics"]["okr_user_events"]["malformed"] > 0


def test_files_are_sent_to_the_broker_and_rejected_rows_are_printed(kafka: Settings, environment: Path) -> None:
    _run("simulate", "--out", str(environment / "out"), "--scale", "small")
    with (environment / "out" / "check_ins.csv").open("a") as file:
        file.write("nobody,2026-01-01T00:00:00Z,1,,\n")
    before = _broker_counts(kafka.kafka_bootstrap)
    printed = _run("produce", "files", str(environment / "out"))
    report = _json("produce", "files", str(environment / "out"))
    arrived = _broker_counts(kafka.kafka_bootstrap) - before

    assert arrived["okr_user_events"] == 2 * report["sent"]["okr_user_events"]
    assert "unknown_key_result" in printed
    assert report["rejected_by_reason"] == {"unknown_key_result": 1}
    assert (environment / "state" / "rejected_rows.csv").read_text().count("\n") == 2


def test_files_imported_without_a_broker_are_spooled_and_sent_before_the_next_import(
    kafka: Settings, environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _run("simulate", "--out", str(environment / "out"), "--scale", "small")
    before = _broker_counts(kafka.kafka_bootstrap)
    monkeypatch.setattr(importer, "CONNECT_SECONDS", 0.5)
    with monkeypatch.context() as away:
        away.setenv("OKR_KAFKA_BOOTSTRAP", "127.0.0.1:1")
        printed = _run("produce", "files", str(environment / "out"))
    spool = Spool(environment / "state" / "spool", SOURCE)
    kept = spool.state().waiting
    assert "Not sent yet" in printed
    assert _broker_counts(kafka.kafka_bootstrap) == before

    report = _json("produce", "files", str(environment / "out"))
    assert kept == sum(report["sent"].values())
    assert (_broker_counts(kafka.kafka_bootstrap) - before).total() == 2 * kept
    assert spool.state().waiting == 0


def test_an_import_too_large_for_the_spool_spools_nothing(environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _run("simulate", "--out", str(environment / "out"), "--scale", "small")
    monkeypatch.setattr(importer, "CONNECT_SECONDS", 0.5)
    monkeypatch.setenv("OKR_KAFKA_BOOTSTRAP", "127.0.0.1:1")
    monkeypatch.setenv("OKR_SPOOL_EVENTS", "100")
    with pytest.raises(SpoolFullError, match="spool"):
        _run("produce", "files", str(environment / "out"))
    assert Spool(environment / "state" / "spool", SOURCE).state().waiting == 0


def test_live_events_have_the_current_time(kafka: Settings, environment: Path) -> None:
    before = _broker_counts(kafka.kafka_bootstrap)
    started = time.monotonic()
    report = _json("produce", "live", "--seconds", "1", "--rate", "40", "--scale", "small")

    assert sum(count["produced"] for count in report["topics"].values()) == 40
    assert (_broker_counts(kafka.kafka_bootstrap) - before).total() == 40
    assert 0.9 < time.monotonic() - started < 30


def test_metrics_are_sent_until_sigterm(kafka: Settings, environment: Path) -> None:
    before = _broker_counts(kafka.kafka_bootstrap)["okr_system_metrics"]
    process = subprocess.Popen(
        [sys.executable, "-c", OKR, "produce", "metrics", "--interval", "0.2"],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ.copy(),
    )
    try:
        deadline = time.monotonic() + 30
        while _broker_counts(kafka.kafka_bootstrap)["okr_system_metrics"] < before + 6 and time.monotonic() < deadline:
            time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        _, logged = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
    stopped = re.search(r"stopped .*samples=(\d+)", logged)
    assert stopped is not None, logged
    sent = int(stopped[1])

    assert process.returncode == 0
    assert sent >= 6
    assert _broker_counts(kafka.kafka_bootstrap)["okr_system_metrics"] == before + sent


@pytest.mark.parametrize("as_of", ["yesterday", "2999-01-01T00:00:00Z", "1999-12-31"])
def test_an_invalid_as_of_is_rejected_with_the_expected_format(as_of: str, tmp_path: Path) -> None:
    with pytest.raises(OkrError, match="--as-of expects a time"):
        _run("simulate", "--out", str(tmp_path / "out"), "--scale", "small", "--as-of", as_of)


def test_a_wrong_header_is_reported_before_the_broker_is_contacted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OKR_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("OKR_KAFKA_BOOTSTRAP", "127.0.0.1:1")
    (tmp_path / "key_results.csv").write_text("id,title\n")
    with pytest.raises(OkrError, match="found id, title"):
        _run("produce", "files", str(tmp_path))


def _folder_with_rejects(folder: Path, rejected: int, used: int) -> Path:
    folder.mkdir()
    header = (
        "key_result_id,organisation,team,owner_email,cycle,cycle_start,cycle_end,objective,key_result,unit,baseline"
    )
    row = "kr-1,acme,Payments,,2026-Q1,2026-01-01,2026-03-31,Be quick,A title,days,20,5"
    (folder / "key_results.csv").write_text(f"{header},target\n{row}\n")
    rows = [
        f"kr-1,2026-01-{1 + n // 24:02}T{n % 24:02}:00:00Z,{'x' if n < rejected else n},,"
        for n in range(used + rejected)
    ]
    (folder / "check_ins.csv").write_text("\n".join(["key_result_id,checked_in_at,value,confidence,note", *rows]))
    return folder


def test_a_mostly_rejected_history_is_sent_only_with_accept_rejects(kafka: Settings, environment: Path) -> None:
    folder = _folder_with_rejects(environment / "out", rejected=59, used=3)
    before = _broker_counts(kafka.kafka_bootstrap)
    result = RUNNER.invoke(app, ["produce", "files", str(folder)])

    assert isinstance(result.exception, OkrError)
    assert "59 of 62 rows of check_ins.csv were rejected, more than 10%" in str(result.exception)
    assert "--accept-rejects" in str(result.exception)
    assert "bad_number: 59 rows" in result.stdout
    assert _broker_counts(kafka.kafka_bootstrap) == before
    assert "sent to okr_user_events: 8 events" in _run("produce", "files", str(folder), "--accept-rejects")
    assert _broker_counts(kafka.kafka_bootstrap).total() == before.total() + 8


@pytest.mark.parametrize(("answer", "sends"), [("y\n", 8), ("n\n", 0)])
def test_a_terminal_is_asked_to_confirm_sending_the_valid_rows(
    kafka: Settings, environment: Path, monkeypatch: pytest.MonkeyPatch, answer: str, sends: int
) -> None:
    folder = _folder_with_rejects(environment / "out", rejected=59, used=3)
    before = _broker_counts(kafka.kafka_bootstrap).total()
    monkeypatch.setattr("ingestion.sources.commands._is_terminal", lambda: True)
    result = RUNNER.invoke(app, ["produce", "files", str(folder)], input=answer)

    assert "Send the valid rows?" in result.stdout
    assert isinstance(result.exception, OkrError) == (sends == 0)
    assert _broker_counts(kafka.kafka_bootstrap).total() == before + sends


def test_an_unclosed_quote_stops_an_import_even_if_it_rejects_few_rows(environment: Path) -> None:
    folder = _folder_with_rejects(environment / "out", rejected=0, used=60)
    with (folder / "check_ins.csv").open("a") as file:
        file.write('\nkr-1,2026-01-20T10:00:00Z,1,,"open\n')
    with pytest.raises(OkrError, match="unclosed_quote"):
        _run("produce", "files", str(folder))
    with pytest.raises(OkrError, match=r"unclosed_quote.*Nothing would be sent"):
        _run("produce", "files", str(folder), "--check")
    _run("produce", "files", str(folder), "--check", "--accept-rejects")


@pytest.mark.parametrize("used", [0, 3])
def test_check_fails_if_sending_would_fail(environment: Path, used: int) -> None:
    folder = _folder_with_rejects(environment / "out", rejected=59, used=used)
    with pytest.raises(OkrError, match=r"Nothing would be sent|nothing to import"):
        _run("produce", "files", str(folder), "--check")
