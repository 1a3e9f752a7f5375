"""Logging for all processes. Each log entry is one line, as key=value pairs for people or as JSON for services."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

import structlog
from structlog.typing import FilteringBoundLogger, Processor


def configure_logging(*, as_json: bool = False, level: int = logging.INFO) -> None:
    """Send structlog's output to standard error. Only entry points call this, once."""
    renderer: Processor = (
        structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=False)
    )
    processors: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if as_json:
        processors.append(structlog.processors.format_exc_info)
    structlog.configure(
        processors=[*processors, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


def get_logger(name: str) -> FilteringBoundLogger:
    """Return a logger that adds the module's name as `module=`."""
    logger: FilteringBoundLogger = structlog.get_logger(module=name)
    return logger


class JsonLines(logging.Formatter):
    """Formats the log records of other libraries, such as uvicorn, as JSON lines like this project's."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line."""
        line: dict[str, Any] = structlog.contextvars.get_contextvars() | {
            "event": record.getMessage(),
            "module": record.name,
            "level": record.levelname.lower(),
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def library_logging() -> dict[str, Any]:
    """Return a configuration for `logging.config.dictConfig` that formats all records with JsonLines."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": "lakehouse.logs.JsonLines"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stderr"}},
        "root": {"handlers": ["stderr"], "level": "WARNING"},
    }
