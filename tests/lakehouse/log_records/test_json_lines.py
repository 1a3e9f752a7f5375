"""Each process writes lines of one schema, whatever is logged and whoever logs it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema

from lakehouse.log_records.schema import SCHEMA

ROOT = Path(__file__).parents[3]
START = "import logging, threading, warnings\nfrom lakehouse.logs import *\nconfigure_logging(as_json=True)\n"


def lines_of(code: str, status: int = 0, **variables: str) -> list[dict[str, Any]]:
    """Run code in a process of its own, and return what it logs; each line must fit the schema."""
    done = subprocess.run(
        [sys.executable, "-c", START + code], cwd=ROOT, capture_output=True, check=False, timeout=60,
        env={"PYTHONPATH": str(ROOT), "OKR_SERVICE": "okr-land", **variables},
    )  # fmt: skip
    assert done.returncode == status, done.stderr.decode()
    lines = [json.loads(line) for line in done.stderr.split(b"\n")[:-1]]
    for line in lines:
        jsonschema.validate(line, SCHEMA)
    return lines


def test_a_line_has_the_fields_of_the_schema() -> None:
    (line,) = lines_of("get_logger('ingestion.landing').info('landed', rows=3)")
    assert (line["level"], line["event"], line["service"], line["module"]) == (
        "INFO", "landed", "land", "ingestion.landing",
    )  # fmt: skip
    assert line["rows"] == 3


def test_the_ids_of_a_request_are_in_its_lines() -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    code = (
        "import structlog\n"
        f"structlog.contextvars.bind_contextvars(request_id='r-1', traceparent='00-{trace}-b7ad6b7169203331-01')\n"
        "get_logger('m').info('a')\nlogging.getLogger('uvicorn').warning('b')"
    )
    for line in lines_of(code):
        assert (line["request_id"], line["trace_id"]) == ("r-1", trace)
        assert "traceparent" not in line


def test_records_of_libraries_and_warnings_are_lines_of_the_schema() -> None:
    first, second = lines_of("logging.getLogger('uvicorn.error').error('no %s', 'port')\nwarnings.warn('old')")
    assert (first["level"], first["event"], first["module"]) == ("ERROR", "no port", "uvicorn.error")
    assert (second["level"], second["module"]) == ("WARN", "py.warnings")
    assert "UserWarning: old" in second["event"]


def test_an_uncaught_exception_is_one_fatal_line() -> None:
    (line,) = lines_of("1 / 0", status=1)
    assert line["level"] == "FATAL"
    assert line["exception"].startswith("Traceback")
    assert line["exception"].endswith("ZeroDivisionError: division by zero")


def test_an_uncaught_exception_of_a_thread_is_an_error_because_the_process_goes_on() -> None:
    code = "t = threading.Thread(target=lambda: 1 / 0, name='sender')\nt.start()\nt.join()\n"
    code += "get_logger('m').info('goes on')"
    failed, after = lines_of(code)
    assert (failed["level"], failed["thread"], after["event"]) == ("ERROR", "sender", "goes on")


def test_a_command_that_fails_in_a_service_writes_one_fatal_line(tmp_path: Path) -> None:
    def run(*arguments: str) -> list[dict[str, Any]]:
        done = subprocess.run(
            [sys.executable, "-I", "-m", "lakehouse.cli", *arguments], capture_output=True, check=False, timeout=60,
            env={"OKR_LOG_JSON": "true", "OKR_STATE": str(tmp_path), "OKR_SETTINGS": "environment"}, cwd=ROOT,
        )  # fmt: skip
        assert done.returncode == 1
        return [json.loads(line) for line in done.stderr.splitlines()]

    (line,) = run("config", "check", "--require", "OKR_LAKE_URI")
    jsonschema.validate(line, SCHEMA)
    assert line["level"] == "FATAL"
    assert "OKR_LAKE_URI is required" in line["event"]


def test_control_characters_cannot_forge_a_line() -> None:
    """CPython #94503: with the standard formatters, a line break in a value begins what looks like another line."""
    forged = '{"time": "2026-01-01T00:00:00Z", "level": "FATAL"}'
    values = [f"a\n{forged}", f"a\r{forged}", "\x1b[2Jcleared", "\x00", "\u2028", "\x85"]
    code = f"for each in {values!r}:\n    get_logger('m').info(each, value=each)\n    logging.warning(each)"
    lines = lines_of(code)
    assert len(lines) == 2 * len(values)
    assert {line["level"] for line in lines} == {"INFO", "WARN"}
    assert [line["event"] for line in lines[::2]] == values


def test_values_that_json_cannot_express_are_written_as_text() -> None:
    """structlog #695 and others: NaN, lone surrogates and cycles made invalid JSON, or an exception in the caller."""
    code = """
class Broken:
    def __str__(self): raise ValueError("no text")
cycle = []; cycle.append(cycle)
log = get_logger("m")
for value in (float("nan"), "\\ud800", 2**80, {1: 2}, b"x", cycle, Broken(), {("a", "b"): 1}):
    log.info("value", value=value)
logging.warning("%s %s", "one argument is missing")
logging.warning(Broken())
"""
    assert len(lines_of(code)) == 10


def test_a_field_with_the_name_of_a_fixed_one_does_not_replace_it() -> None:
    (line,) = lines_of("get_logger('m').info('a', service='forged', level='FATAL', host='x', time='y')")
    assert (line["service"], line["level"], line["service_"], line["level_"]) == ("land", "INFO", "forged", "FATAL")


def test_a_long_value_is_cut_in_the_middle() -> None:
    (line,) = lines_of("get_logger('m').info('a', value='b' * 50_000 + 'end')")
    assert len(line["value"]) < 17_000
    assert line["value"].endswith("end")
    assert "33619 characters left out" in line["value"]


def test_a_full_disk_does_not_stop_a_process() -> None:
    done = subprocess.run(
        ["sh", "-c", 'exec "$0" -c "$1" 2>/dev/full', sys.executable,
         START + "for _ in range(5000): get_logger('m').info('a' * 100)\nlogging.warning('b')\nprint('goes on')"],
        env={"PYTHONPATH": str(ROOT)}, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.stdout == "goes on\n"
