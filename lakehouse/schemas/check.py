"""Check that the committed schemas match the models, and that the models can still read every old event."""

from collections.abc import Mapping
from pathlib import Path

from lakehouse.schemas.compatibility import breaks
from lakehouse.schemas.generate import Schema, as_text, file_of
from lakehouse.schemas.git_history import History


def stale_files(schemas: Mapping[str, Schema], folder: Path) -> list[str]:
    """Return one message for each schema file that is missing, out of date, or without an event type."""
    wrong = []
    for name, schema in schemas.items():
        path = file_of(folder, name)
        if not path.exists():
            wrong.append(f"{path} is missing. Write it with `okr contracts schemas` and commit it.")
        elif path.read_text(encoding="utf-8") != as_text(schema):
            wrong.append(f"{path} does not match its model. Write it again with `okr contracts schemas` and commit it.")
    known = {file_of(folder, name) for name in schemas}
    wrong += [f"{path} belongs to no event type." for path in sorted(folder.glob("*.json")) if path not in known]
    return wrong


def incompatible_changes(schemas: Mapping[str, Schema], history: History) -> list[str]:
    """Return the changes that make events of any earlier schema version unreadable.

    Each change is reported once, with the newest version with which it is incompatible.
    """
    reported: dict[tuple[str, str], str] = {}
    for version in history.versions:
        now = schemas.get(version.name)
        found = ["the event type was removed"] if now is None else list(map(str, breaks(version.schema, now)))
        for change in found:
            reported.setdefault((version.name, change), version.where)
    return [
        f"{name}: {change} (compared with {where}). Events in the old form stay in Kafka and the lake and must remain "
        f"readable: revert the change, or leave {name} as it was and define the new form as {_next_major(name)}, "
        "in its own file."
        for (name, change), where in reported.items()
    ]


def _next_major(name: str) -> str:
    stem, _, major = name.rpartition(".v")
    return f"{stem}.v{int(major) + 1}" if stem else f"{name}, version 2"
