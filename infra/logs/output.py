"""Print entries: as text for people, or as JSON lines for programs."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from infra.logs.entry import Entry
from lakehouse.log_records.redaction import Redactor
from lakehouse.log_records.rendering import encode, escape_control

Format = Callable[[Entry], str]


def as_json(redactor: Redactor) -> Format:
    """Return the format for programs: an object of the schema per line."""

    def format_entry(entry: Entry) -> str:
        return encode(_redacted(entry, redactor)).decode()

    return format_entry


def as_text(redactor: Redactor) -> Format:
    """Return the format for people. Control characters are visible, because a terminal would execute them."""

    def format_entry(entry: Entry) -> str:
        values = _redacted(entry, redactor)
        time, level, event, service = (values.pop(name) for name in ("time", "level", "event", "service"))
        exception = str(values.pop("exception", ""))
        module = values.pop("module")
        values.pop("host")
        values.pop("parsed", None)
        source = service if module == service else f"{service} {module}"
        pairs = "".join(f" {name}={_short(value)}" for name, value in values.items())
        line = f"{time[:23]}Z {level:<5} {source}: {escape_control(str(event))}{escape_control(pairs)}"
        return "\n".join([line, *(f"    {escape_control(each)}" for each in exception.split("\n") if each)])

    return format_entry


def _redacted(entry: Entry, redactor: Redactor) -> dict[str, Any]:
    document = entry.document()
    if redactor.is_suspicious(encode(document)):
        # The fixed fields have no secret, and the name of a service may look like one.
        fixed = {name: document[name] for name in ("time", "level", "service", "host", "module")}
        return redactor.record(document) | fixed
    return document


def _short(value: Any) -> str:
    if isinstance(value, str):
        return value if value and " " not in value else json.dumps(value, ensure_ascii=False)
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, (Mapping, list)) else str(value)
