"""The schema of a log line, which every process of the platform writes and to which `okr logs` converts all others."""

import os
import socket
from collections.abc import Mapping
from typing import Any

LEVELS: Mapping[str, int] = {"DEBUG": 10, "INFO": 20, "WARN": 30, "ERROR": 40, "FATAL": 50}
DEBUG, INFO, WARN, ERROR, FATAL = LEVELS.values()
# The names that structlog, the standard library, syslog, PostgreSQL, supervisord and log4j use.
_OTHER_NAMES: Mapping[str, str] = {
    "TRACE": "DEBUG", "BLAT": "DEBUG", "DEBG": "DEBUG", **{f"DEBUG{n}": "DEBUG" for n in range(1, 6)},
    "LOG": "INFO", "NOTICE": "INFO", "STATEMENT": "INFO", "DETAIL": "INFO", "HINT": "INFO", "CONTEXT": "INFO",
    "NOTSET": "INFO", "WARNING": "WARN", "ERR": "ERROR", "ERRO": "ERROR", "EXCEPTION": "ERROR",
    "CRIT": "FATAL", "CRITICAL": "FATAL", "ALERT": "FATAL", "EMERG": "FATAL", "PANIC": "FATAL",
}  # fmt: skip
SERVICE = "OKR_SERVICE"  # set by the supervisor and by systemd units
_PREFIX = "okr-"  # of units; services have the same name in the local stack and on servers
MAX_VALUE_LENGTH = 16_384  # characters of a value; journald splits lines that are longer than 48 KiB

SCHEMA: Mapping[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Log line",
    "type": "object",
    "required": ["time", "level", "event", "service", "host", "module"],
    "properties": {
        "time": {
            "type": "string",
            "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z$",
            "description": "when it was logged, UTC",
        },
        "level": {"enum": list(LEVELS), "description": "FATAL: the process ends because of it"},
        "event": {"type": "string", "description": "what happened, without values"},
        "service": {"type": "string", "description": "as in `okr status`, such as api or land"},
        "host": {"type": "string", "description": "name of the host"},
        "module": {"type": "string", "description": "module or logger that wrote it"},
        "request_id": {"type": "string", "description": "the request to the API (X-Request-ID)"},
        "trace_id": {
            "type": "string",
            "pattern": "^[0-9a-f]{32}$",
            "description": "the trace of the request, if its caller sent one (W3C Trace Context)",
        },
        "exception": {"type": "string", "description": "the traceback, with line breaks"},
        "parsed": {
            "const": False,
            "description": "only in `okr logs`: the line of another program whose form is unknown, as event",
        },
    },
    "additionalProperties": {"description": "the values of the event, such as topic and rows"},
}


def level_of(name: str) -> str | None:
    """Return the level for a name that some program uses for it, or None for an unknown name."""
    name = name.strip().upper()
    return name if name in LEVELS else _OTHER_NAMES.get(name)


def level_name(number: int) -> str:
    """Return the level of a number of the standard library, which may lie between two levels."""
    names = [name for name, least in LEVELS.items() if number >= least]
    return names[-1] if names else "DEBUG"


def service_name() -> str:
    """Return the service to which this process belongs: `okr` for a command."""
    return os.environ.get(SERVICE, "").removeprefix(_PREFIX) or "okr"


def host_name() -> str:
    """Return the name of this host."""
    return socket.gethostname()


def trace_id_of(traceparent: str) -> str:
    """Return the trace id in a valid W3C traceparent."""
    return traceparent[3:35]
