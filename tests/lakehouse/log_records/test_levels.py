"""Levels are configured for the process and single modules, and change while it runs."""

import logging
import time
from pathlib import Path

import pytest

from lakehouse.errors import PermanentError
from lakehouse.log_records.levels import Change, Gate, LevelFile, Levels, Rules, parse
from tests.lakehouse.log_records.test_json_lines import lines_of


def test_a_setting_has_a_level_for_the_process_and_for_modules() -> None:
    rules = parse("warn, serving.auth=DEBUG,serving=ERROR")
    assert (rules.level_of("ingestion"), rules.level_of("serving.data"), rules.level_of("serving.auth.keys")) == (
        30, 40, 10,
    )  # fmt: skip
    assert rules.least == 10
    assert parse("") == Rules()


@pytest.mark.parametrize("text", ["LOUD", "INFO,serving=", "=DEBUG", "INFO,serving=LOUD", "a=b=DEBUG=1"])
def test_an_unknown_level_is_refused_with_the_known_ones(text: str) -> None:
    with pytest.raises(PermanentError, match="DEBUG, INFO, WARN, ERROR, FATAL"):
        parse(text)


def test_a_process_logs_from_the_level_of_the_setting() -> None:
    code = "for name in ('a.b', 'a.c'):\n    get_logger(name).debug('d')\n    get_logger(name).info('i')"
    assert [line["event"] for line in lines_of(code)] == ["i", "i"]
    assert [line["event"] for line in lines_of(code, OKR_LOG_LEVEL="WARN")] == []
    of_module = lines_of(code, OKR_LOG_LEVEL="WARN,a.b=DEBUG")
    assert [(line["module"], line["event"]) for line in of_module] == [("a.b", "d"), ("a.b", "i")]


def test_an_invalid_setting_is_reported_and_does_not_stop_the_process() -> None:
    warning, line = lines_of("get_logger('m').info('i')", OKR_LOG_LEVEL="LOUD")
    assert warning["level"] == "WARN"
    assert "'LOUD' is not a log level" in warning["error"]
    assert line["event"] == "i"


def test_libraries_log_below_warn_only_if_they_are_named() -> None:
    """httpx logs addresses with their queries at INFO, and drivers log rows at DEBUG."""
    code = "logging.getLogger('httpx').info('GET /?secret')\nlogging.getLogger('asyncio').debug('slow')"
    assert lines_of(code, OKR_LOG_LEVEL="DEBUG") == []
    (line,) = lines_of(code, OKR_LOG_LEVEL="INFO,asyncio=DEBUG")
    assert line["module"] == "asyncio"


def test_a_running_process_follows_the_file_and_falls_back_by_itself(tmp_path: Path) -> None:
    file = tmp_path / "level"
    code = f"""
import time
from pathlib import Path
from lakehouse.log_records.levels import Change
log = get_logger("m")
log.debug("before")
Path({str(file)!r}).write_text(Change("DEBUG", time.time() + 2.5, 2.5).text())
time.sleep(2.4)
log.debug("during")
time.sleep(3)
log.debug("after")
"""
    lines = lines_of(code, OKR_LOG_LEVEL_FILE=str(file))
    assert [line["event"] for line in lines] == ["during"]


def test_the_time_of_a_change_is_limited_although_the_clock_jumps(tmp_path: Path) -> None:
    now = 100.0
    path = tmp_path / "level"
    file = LevelFile(path, Rules(), monotonic=lambda: now)
    # Written before the clock was set back by a day: `until` is far away.
    path.write_text(Change("DEBUG", time.time() + 86_400, 600).text(), encoding="utf-8")
    assert file.rules().default == logging.DEBUG
    now += 599
    assert file.rules().default == logging.DEBUG
    now += 2
    assert file.rules() == Rules()


def test_a_damaged_or_removed_file_means_the_setting(tmp_path: Path) -> None:
    path = tmp_path / "level"
    file = LevelFile(path, parse("WARN"))
    for text in ("{", "[]", '{"rules": "LOUD", "until": 9e9, "for_s": 5}', '{"rules": "DEBUG"}'):
        path.write_text(text, encoding="utf-8")
        assert file.rules() == parse("WARN"), text
    path.write_text(Change("DEBUG", time.time() + 9, 9).text(), encoding="utf-8")
    assert file.rules() == parse("DEBUG")
    path.unlink()
    assert file.rules() == parse("WARN")


def test_a_gate_follows_the_rules() -> None:
    levels = Levels()
    gate = Gate("serving.http.access_log", levels=levels)
    assert gate.is_open
    levels.apply(parse("INFO,serving.http.access_log=WARN"))
    assert not gate.is_open
    levels.apply(Rules())
    assert gate.is_open
