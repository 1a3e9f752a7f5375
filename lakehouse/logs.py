"""Logging for all processes: text for people, or JSON lines in one schema for services (docs/logs.md)."""

import logging
import os
import sys
import threading
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

from lakehouse.errors import OkrError, PermanentError
from lakehouse.log_records import levels
from lakehouse.log_records.redaction import Redactor, own_secrets, safe_text
from lakehouse.log_records.rendering import JsonRenderer, clean_text
from lakehouse.log_records.schema import LEVELS, level_name
from lakehouse.log_records.writing import LineWriter

MODULE = __name__


def configure_logging(*, as_json: bool = False) -> None:
    """Send log lines to standard error, from the levels in OKR_LOG_LEVEL. Only entry points call this.

    With `as_json`, this includes warnings, records of libraries, and uncaught exceptions. An invalid level is reported
    in the log, and INFO is used instead: a process must not fail because of its log.
    """
    redactor = Redactor(own_secrets())
    if as_json:
        render: list[Processor] = [JsonRenderer(redactor)]
        factory: Any = LineWriter(sys.stderr.buffer)
    else:
        render = [
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            clean_text(redactor),
            structlog.dev.ConsoleRenderer(colors=False),
        ]
        factory = structlog.PrintLoggerFactory(sys.stderr)
    structlog.configure(
        processors=[_drop_below_level, structlog.contextvars.merge_contextvars, *render],
        logger_factory=factory,
        cache_logger_on_first_use=False,
    )
    if as_json:
        _capture_others(JsonLines(redactor))
    _start_levels()


def get_logger(name: str) -> FilteringBoundLogger:
    """Return a logger that adds the module's name as `module=`."""
    logger: FilteringBoundLogger = structlog.get_logger(module=name)
    return logger


class JsonLines(logging.Formatter):
    """Formats the log records of libraries, such as uvicorn, as JSON lines like this project's."""

    def __init__(self, redactor: Redactor | None = None) -> None:
        super().__init__()
        self._renderer = JsonRenderer(redactor or Redactor(own_secrets()))

    def format(self, record: logging.LogRecord) -> str:
        """Return one line."""
        values = {**structlog.contextvars.get_contextvars(), "event": _message(record), "module": record.name}
        if record.exc_info:
            values["exception"] = self.formatException(record.exc_info)
        time = datetime.fromtimestamp(record.created, UTC)
        return self._renderer.line(time, level_name(record.levelno), values).decode()


def library_logging() -> dict[str, Any]:
    """Return a configuration for `logging.config.dictConfig` that formats all records with JsonLines."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": "lakehouse.logs.JsonLines"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stderr"}},
        "root": {"handlers": ["stderr"], "level": "WARNING"},
    }


def is_json() -> bool:
    """Return whether this process is a service, whose log lines are JSON (OKR_LOG_JSON)."""
    return os.environ.get("OKR_LOG_JSON", "").lower() in {"1", "true", "yes", "on"}


def report_error(error: OkrError) -> None:
    """Report an error that ends the process: as a line of text for people, or as a line of the log of a service."""
    if is_json():
        get_logger(MODULE).critical(str(error))
    else:
        sys.stderr.write(f"okr: {error}\n")


def report_remark(text: str) -> None:
    """Tell the user of a command something, in the same way."""
    if is_json():
        get_logger(MODULE).warning(text)
    else:
        sys.stderr.write(f"okr: {text}\n")


def log_fatal(error: BaseException) -> None:
    """Write the line of an error that ends the process."""
    get_logger(MODULE).critical("the process ends after an uncaught exception", exc_info=error)


def _start_levels() -> None:
    text = os.environ.get(levels.SETTING, "")
    try:
        rules, problem = levels.parse(text), None
    except PermanentError as error:
        rules, problem = levels.Rules(), error
    levels.LEVELS_IN_FORCE.apply(rules)
    levels.LEVELS_IN_FORCE.follow(_set_least_level)
    if problem is not None:
        get_logger(MODULE).warning("OKR_LOG_LEVEL is invalid, so INFO is used", error=str(problem))
    levels.start_watching(rules)


def _set_least_level(rules: levels.Rules) -> None:
    """Let structlog skip calls below the least level of all modules, which costs nothing."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(rules.least))


def _drop_below_level(logger: WrappedLogger, method: str, values: EventDict) -> EventDict:
    """Drop what the rules for single modules exclude."""
    rules = levels.LEVELS_IN_FORCE.rules
    if rules.modules and _NUMBERS.get(method, LEVELS["INFO"]) < rules.level_of(str(values.get("module", ""))):
        raise structlog.DropEvent
    return values


_NUMBERS = {"debug": 10, "info": 20, "warning": 30, "warn": 30, "error": 40, "exception": 40, "critical": 50}


def _capture_others(formatter: logging.Formatter) -> None:
    """Write warnings, records of libraries, and exceptions that nobody has caught as JSON lines, too."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.getLogger().handlers[:] = [handler]
    logging.captureWarnings(True)
    logging.raiseExceptions = False  # as in LineWriter
    sys.excepthook = _on_uncaught
    threading.excepthook = _on_uncaught_in_thread
    sys.unraisablehook = _on_unraisable


def _on_uncaught(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        log_fatal(error)


def _on_uncaught_in_thread(found: threading.ExceptHookArgs) -> None:
    """Log as ERROR, because the process goes on."""
    if found.exc_value is not None and not isinstance(found.exc_value, SystemExit):
        name = found.thread.name if found.thread else None
        get_logger(MODULE).error("a thread ended after an uncaught exception", thread=name, exc_info=found.exc_value)


def _on_unraisable(found: "sys.UnraisableHookArgs") -> None:
    get_logger(MODULE).error("an exception could not be raised", where=repr(found.object), exc_info=found.exc_value)


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:
        return safe_text(record.msg)
