"""Whether the committed schemas are those of the models, and whether the models still read every old event."""

from collections.abc import Mapping
from pathlib import Path

from lakehouse.schemas.compatibility import breaks
from lakehouse.schemas.generate import Schema, as_text, file_of
from lakehouse.schemas.git_history import History


def stale_files(schemas: Mapping[str, Schema], folder: Path) -> list[str]:
    """Say of each file that is missing, out of date, or of no event type, what is wrong with it."""
    wrong = []
    for name, schema in schemas.items():
        path = file_of(folder, name)
        if not path.exists():
            wrong.append(f"{path} is missing. Write it with `okr contracts schemas` and commit it.")
        elif path.read_text(encoding="utf-8") != as_text(schema):
            wrong.append(
                f"{path} is not what its model says. Write it anew with `okr contracts schemas` and commit it."
            )
    known = {file_of(folder, name) for name in schemas}
    wrong += [
        f"{path} is of no event type that there is." for path in sorted(folder.glob("*.json")) if path not in known
    ]
    return wrong


def incompatible_changes(schemas: Mapping[str, Schema], history: History) -> list[str]:
    """Say of each event type what changed since any version of it so that old events can no longer be read.

    Each change is told once, with the newest version that it breaks with.
    """
    told: dict[tuple[str, str], str] = {}
    for version in history.versions:
        now = schemas.get(version.name)
        found = ["the event type is gone"] if now is None else list(map(str, breaks(version.schema, now)))
        for change in found:
            told.setdefault((version.name, change), version.where)
    return [
        f"{name}: {change} (compared with {where}). Events of the old form stay in the log and must stay readable: "
        f"take the change back, or leave {name} as it was and write the new form as {_next_major(name)}, in a file of "
        "its own."
        for (name, change), where in told.items()
    ]


def _next_major(name: str) -> str:
    stem, _, major = name.rpartition(".v")
    return f"{stem}.v{int(major) + 1}" if stem else f"{name}, version 2"
