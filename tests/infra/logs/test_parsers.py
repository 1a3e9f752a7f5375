"""The lines of each service are parsed into the schema; lines of unknown form are kept as they are."""

import json
from datetime import UTC, datetime

import jsonschema
import pytest

from infra.logs.entry import Entry
from infra.logs.lines import entries_of
from lakehouse.log_records.schema import SCHEMA

START = datetime(2026, 11, 29, 12, tzinfo=UTC)
# Real lines of each service: what wrote them, line, expected time, level, event, module.
LINES = [
    ("postgres", "2026-11-29 21:37:24.225 UTC [26234] LOG:  starting PostgreSQL 18.4",
     "21:37:24.225", "INFO", "starting PostgreSQL 18.4", ""),
    ("postgres", '2026-11-29 21:37:32.038 UTC [26418] FATAL:  password authentication failed for user "x"',
     "21:37:32.038", "ERROR", 'password authentication failed for user "x"', ""),
    ("postgres", "2026-11-29 21:37:32.038 UTC [1] PANIC:  could not write to file",
     "21:37:32.038", "FATAL", "could not write to file", ""),
    ("redis", "26235:M 29 Nov 2026 21:37:23.867 * Ready to accept connections",
     "21:37:23.867", "INFO", "Ready to accept connections", ""),
    ("redis", "26235:signal-handler (1795988468) Received SIGTERM scheduling shutdown...",
     "21:41:08", "WARN", "Received SIGTERM scheduling shutdown...", ""),
    ("kafka", '{"time":"2026-11-29T21:37:27.703Z","level":"WARN","event":"a \\"b\\"","service":"kafka","module":"k.S"}',
     "21:37:27.703", "WARN", 'a "b"', "k.S"),
    ("kafka", "2026-11-29T21:37:26.584Z INFO  k.s.ControllerServer [ControllerServer id=1] Starting",
     "21:37:26.584", "INFO", "[ControllerServer id=1] Starting", "k.s.ControllerServer"),
    ("kafka", "[2026-11-29 21:37:26,584] INFO [Broker id=1] Starting (kafka.server.KafkaRaftServer$)",
     "21:37:26.584", "INFO", "[Broker id=1] Starting", "kafka.server.KafkaRaftServer$"),
    ("prometheus",
     'ts=2026-11-29T23:37:26.584Z caller=main.go:512 level=warn msg="No \\"x\\" given" err="a b" mode=server',
     "23:37:26.584", "WARN", 'No "x" given', "main.go:512"),
    ("redis-exporter", 'time="2026-11-29T23:37:26Z" level=error msg="Couldn\'t connect to redis instance"',
     "23:37:26", "ERROR", "Couldn't connect to redis instance", ""),
    ("nginx", '{"time":"2026-11-29T22:37:26+01:00","level":"INFO","event":"request","status":200,"module":"nginx"}',
     "21:37:26", "INFO", "request", "nginx"),
    ("nginx", "2026/11/29 21:37:26 [emerg] 12#12: bind() to 0.0.0.0:80 failed",
     "21:37:26", "FATAL", "bind() to 0.0.0.0:80 failed", ""),
    ("mlflow", "2026/11/29 21:37:58 WARNING mlflow.server.auth: This feature is experimental",
     "21:37:58", "WARN", "This feature is experimental", "mlflow.server.auth"),
    ("mlflow", "2026/11/29 21:37:59 INFO:     Started server process [26644]",
     "21:37:59", "INFO", "Started server process [26644]", "mlflow"),
    ("mlflow-database", "2026/11/29 21:37:35 INFO mlflow.store.db.utils: Updating database tables",
     "21:37:35", "INFO", "Updating database tables", "mlflow.store.db.utils"),
    ("supervisord", "2026-11-29 21:37:22,072 CRIT Server 'unix_http_server' running without any HTTP authentication",
     "21:37:22.072", "WARN", "Server 'unix_http_server' running without any HTTP authentication", ""),
    ("airflow-scheduler",
     '{"timestamp":"2026-11-29T21:39:00.385986Z","level":"critical","event":"x","logger":"task","filename":"a.py"}',
     "21:39:00.385986", "FATAL", "x", "task"),
    ("airflow-database",
     "2026-11-29T21:37:34.997789Z [info     ] Context impl PostgresqlImpl.   [alembic.m] loc=m.py:205",
     "21:37:34.997789", "INFO", "Context impl PostgresqlImpl.", "alembic.m"),
    ("api", '{"timestamp":"2026-11-29T21:37:48.369345Z","level":"warning","event":"old","module":"serving.x"}',
     "21:37:48.369345", "WARN", "old", "serving.x"),
    ("land", "%3|1795988468.25|FAIL|rdkafka#consumer-1| [thrd:localhost:9092/1]: Connect failed",
     "21:41:08.25", "ERROR", "[thrd:localhost:9092/1]: Connect failed", "rdkafka#consumer-1"),
    ("land", "/opt/x/site-packages/a.py:12: DeprecationWarning: b is old",
     "12:00:00", "WARN", "b is old", "py.warnings"),
]  # fmt: skip


def entries(service: str, *lines: str) -> list[Entry]:
    """Return the entries of lines, each of which fits the schema."""
    found = list(entries_of([f"{line}\n".encode() for line in lines], service, "vm", START))
    for entry in found:
        jsonschema.validate(entry.document(), SCHEMA)
    return found


@pytest.mark.parametrize("case", LINES)
def test_a_line_is_parsed(case: tuple[str, ...]) -> None:
    service, line, time, *expected = case
    (entry,) = entries(service, line)
    assert entry.time == datetime.fromisoformat(f"2026-11-29T{time}+00:00")
    assert [entry.level, entry.event, entry.module] == expected
    assert (entry.service, entry.host, entry.is_parsed) == (service, "vm", True)


def test_a_line_of_unknown_form_is_kept_at_the_time_before_it() -> None:
    known, unknown = entries("metrics", LINES[15][1], "Sent 193 samples.")
    assert (unknown.event, unknown.level, unknown.time) == ("Sent 193 samples.", "INFO", known.time)
    assert unknown.document()["parsed"] is False


@pytest.mark.parametrize(
    "line", ['{"time": "2026-11-29T12:00:00', "{}", "[1]", '{"time": 1, "event": "x"}', '{"time": "now", "event": "x"}',
             '{"time":"2026-11-29T12:00:00Z","event":null}', "\ufffd\x00", "{" * 5000],
)  # fmt: skip
def test_a_torn_or_foreign_line_is_kept(line: str) -> None:
    (entry,) = entries("api", line)
    assert (entry.event, entry.is_parsed) == (line, False)


def test_a_line_cannot_claim_to_be_of_another_service() -> None:
    line = '{"time":"2026-11-29T12:00:00Z","event":"x","service":"redis","host":"other","level":"LOUD","parsed":true}'
    (entry,) = entries("api", line)
    document = entry.document()
    assert (document["service"], document["host"], document["level"]) == ("api", "vm", "INFO")
    assert "parsed" not in document


def test_lines_that_continue_an_entry_belong_to_it() -> None:
    found = entries(
        "mlflow", "2026/11/29 21:37:58 ERROR mlflow.x: failed", "Traceback (most recent call last):",
        '  File "a.py", line 1, in f', "ValueError: a", "", "During handling of the above exception, another occurred:",
        "Traceback (most recent call last):", "KeyError: 'b'", "2026/11/29 21:37:59 INFO mlflow.x: goes on",
    )  # fmt: skip
    assert [entry.event for entry in found] == ["failed", "goes on"]
    assert found[0].fields["exception"].splitlines()[0] == "Traceback (most recent call last):"
    assert found[0].fields["exception"].splitlines()[-1] == "KeyError: 'b'"
    (entry,) = entries("postgres", LINES[0][1], "\twith a second line")
    assert entry.fields["exception"] == "with a second line"


def test_a_traceback_without_an_entry_is_an_error() -> None:
    (entry,) = entries("guard", "Traceback (most recent call last):", '  File "a.py", line 1, in f', "ValueError: a")
    assert (entry.level, entry.fields["exception"].splitlines()[-1]) == ("ERROR", "ValueError: a")


def test_a_flood_of_continuation_lines_does_not_fill_the_memory() -> None:
    (entry,) = entries("postgres", LINES[0][1], *(["\t" + "x" * 1000] * 1000))
    assert len(entry.fields["exception"]) < 20_000


def test_the_tracebacks_of_airflow_are_text() -> None:
    error = {"exc_type": "ValueError", "exc_value": "a", "frames": [{"filename": "x.py", "lineno": 3, "name": "f"}]}
    line = json.dumps({"timestamp": "2026-11-29T12:00:00Z", "level": "error", "event": "x", "error_detail": [error]})
    (entry,) = entries("airflow-scheduler", line)
    assert entry.fields["exception"] == '  File "x.py", line 3, in f\nValueError: a'
