"""The journal of a server, which has the output of all units. Only root and the group systemd-journal can read it."""

import json
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from infra.logs.entry import Entry
from infra.logs.parsers import SYSLOG_LEVELS, parse
from infra.logs.query import Query
from lakehouse.errors import PermanentError

PREFIX = "okr-"
# Units of other programs, whose names differ between distributions. All begin with one of these.
OTHER_UNITS: Mapping[str, tuple[str, ...]] = {
    "postgres": ("postgresql",), "redis": ("redis",), "kafka": ("kafka",), "nginx": ("nginx",),
    "supervisord": ("supervisor",),
}  # fmt: skip


def services_of_units() -> list[str]:
    """Return the services of the units that are installed on this host, without instances.

    Raises:
        PermanentError: this host has no systemd.
    """
    listed = _run(["systemctl", "list-unit-files", "--type=service", "--no-legend", "--plain", f"{PREFIX}*"])
    own = {_service(line.split()[0]) for line in listed.splitlines() if line.strip()}
    return sorted({*own, *OTHER_UNITS} - {"supervisord"})


def read(query: Query, *, follow: bool) -> Iterator[Entry]:
    """Return the entries of the journal in its order; with `follow`, those to come, without end.

    Raises:
        PermanentError: there is no journal, or this user may not read it.
    """
    if shutil.which("journalctl") is None:
        raise _no_journal()
    command = ["journalctl", "--output=json", "--no-pager", "--quiet", *_period(query), *_units(query.services)]
    command += ["--follow", "--lines=0"] if follow else []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None  # noqa: S101 -- it is a pipe
        try:
            yield from (entry for entry in entries_of(process.stdout) if query.matches(entry))
        finally:
            process.terminate()
        error = process.stderr.read().decode(errors="replace").strip() if process.stderr else ""
        if process.wait() > 0 and error:
            raise PermanentError(f"The journal cannot be read: {error}. Run this as root, or as a member of adm.")


def entries_of(lines: Iterable[bytes]) -> Iterator[Entry]:
    """Return the entries of `journalctl --output=json`, or of a store that has the fields of the journal."""
    for line in lines:
        try:
            found = json.loads(line)
        except ValueError:  # torn
            continue
        if isinstance(found, dict) and (entry := entry_of(found)) is not None:
            yield entry


def entry_of(found: Mapping[str, Any]) -> Entry | None:
    """Return the entry of one record of the journal, or None if it has no text."""
    text = _text(found.get("MESSAGE", found.get("_msg")))
    service = _service(str(found.get("_SYSTEMD_UNIT") or found.get("UNIT") or found.get("SYSLOG_IDENTIFIER") or "host"))
    try:
        time = datetime.fromtimestamp(int(found["__REALTIME_TIMESTAMP"]) / 1e6, UTC)
    except (KeyError, ValueError):
        try:
            time = datetime.fromisoformat(str(found["_time"])).astimezone(UTC)
        except (KeyError, ValueError):
            return None
    if not text.strip():
        return None
    entry = parse(service, text, time)
    if entry is None:
        # systemd itself writes about units; its lines have a level, and need no other form.
        is_parsed = found.get("SYSLOG_IDENTIFIER") == "systemd"
        level = _level(found.get("PRIORITY")) if is_parsed else "INFO"
        entry = Entry(time, level, text, service, "systemd" if is_parsed else "", is_parsed=is_parsed)
    entry.host = str(found.get("_HOSTNAME") or entry.host)
    return entry


def _text(message: Any) -> str:
    """Return the text of a message, which is a list of bytes if it is not valid UTF-8 or has control characters."""
    if isinstance(message, list):
        return bytes(each for each in message if isinstance(each, int) and 0 <= each < 256).decode(errors="replace")
    return str(message or "")


def _level(priority: Any) -> str:
    try:
        return SYSLOG_LEVELS[int(priority)]
    except (TypeError, ValueError, IndexError):
        return "INFO"


def _service(unit: str) -> str:
    name = unit.removesuffix(".service").partition("@")[0]
    if name.startswith(PREFIX):
        return name.removeprefix(PREFIX)
    return next((service for service, starts in OTHER_UNITS.items() if name.startswith(starts)), name)


def _period(query: Query) -> list[str]:
    since = [f"--since=@{query.since.timestamp():.6f}"] if query.since else []
    return since + ([f"--until=@{query.until.timestamp():.6f}"] if query.until else [])


def _units(services: Sequence[str] | Iterable[str]) -> list[str]:
    patterns = []
    for service in services:
        patterns += [f"{start}*" for start in OTHER_UNITS.get(service, ())] or [
            f"{PREFIX}{service}.service", f"{PREFIX}{service}@*.service",
        ]  # fmt: skip
    if not patterns:
        patterns = [f"{PREFIX}*", *(f"{start}*" for starts in OTHER_UNITS.values() for start in starts)]
    return [f"--unit={each}" for each in patterns]


def _run(command: list[str]) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=20).stdout
    except FileNotFoundError:
        raise _no_journal() from None


def _no_journal() -> PermanentError:
    return PermanentError(
        "There are no logs here: expected the state folder of a local stack (OKR_STATE), or a host with systemd."
    )
