"""The least level that is logged, for the process and for single modules, which can change while the process runs.

`OKR_LOG_LEVEL` and the file of `okr logs level` have the form `INFO` or `INFO,serving.auth=DEBUG,httpx=INFO`. A level
without a module is for our own modules; libraries log from WARN unless they are named, because some of them log
requests and rows at lower levels.
"""

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lakehouse.errors import PermanentError
from lakehouse.log_records.schema import INFO, LEVELS, WARN, level_of

SETTING, FILE = "OKR_LOG_LEVEL", "OKR_LOG_LEVEL_FILE"
POLL_S = 2.0


@dataclass(frozen=True)
class Rules:
    """The level of our own modules, and levels of packages or modules of anyone, as numbers."""

    default: int = INFO
    modules: Mapping[str, int] = field(default_factory=dict)

    def level_of(self, module: str) -> int:
        """Return the least level that a module of ours logs: that of the longest package of it that has one."""
        if not self.modules:
            return self.default
        while module:
            if (found := self.modules.get(module)) is not None:
                return found
            module = module.rpartition(".")[0]
        return self.default

    @property
    def least(self) -> int:
        """The least level that any module logs."""
        return min((self.default, *self.modules.values()))


def parse(text: str) -> Rules:
    """Return the rules of a setting.

    Raises:
        PermanentError: a part of it is neither a level nor module=level.
    """
    default, modules = INFO, {}
    for part in filter(None, (each.strip() for each in text.split(","))):
        module, equals, name = part.rpartition("=")
        level = level_of(name)
        if level is None or bool(equals) != bool(module.strip()):
            raise PermanentError(
                f"{part!r} is not a log level. Expected one of {', '.join(LEVELS)}, also for a module, such as "
                "INFO,serving.auth=DEBUG."
            )
        if equals:
            modules[module.strip()] = LEVELS[level]
        else:
            default = LEVELS[level]
    return Rules(default, modules)


class Levels:
    """The rules in force. Those who depend on them are told when they change."""

    def __init__(self) -> None:
        self.rules = Rules()
        self._named: set[str] = set()
        self._followers: list[Callable[[Rules], None]] = []

    def apply(self, rules: Rules) -> None:
        """Put rules into force, also for the loggers of libraries."""
        self.rules = rules
        logging.getLogger().setLevel(max(WARN, rules.default))
        for name in self._named - rules.modules.keys():
            logging.getLogger(name).setLevel(logging.NOTSET)
        for name, level in rules.modules.items():
            logging.getLogger(name).setLevel(level)
        self._named = set(rules.modules)
        for follower in self._followers:
            follower(rules)

    def follow(self, follower: Callable[[Rules], None]) -> None:
        """Call a function now and after each change."""
        self._followers.append(follower)
        follower(self.rules)


LEVELS_IN_FORCE = Levels()


class Gate:
    """Whether a module logs a level, as an attribute, for code that cannot afford a call per line."""

    def __init__(self, module: str, level: int = INFO, levels: Levels = LEVELS_IN_FORCE) -> None:
        self.is_open = True
        self._module, self._level = module, level
        levels.follow(self._update)

    def _update(self, rules: Rules) -> None:
        self.is_open = rules.level_of(self._module) <= self._level


@dataclass(frozen=True)
class Change:
    """The content of the file of `okr logs level`: rules for at most `for_s` seconds, up to `until` (Unix time)."""

    rules: str
    until: float
    for_s: float

    def text(self) -> str:
        """Return the content of the file."""
        return json.dumps({"rules": self.rules, "until": self.until, "for_s": self.for_s}) + "\n"


class LevelFile:
    """Reads the file and says which rules are in force. The clock of the host may jump: the time given still limits."""

    def __init__(self, path: Path, base: Rules, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._path, self._base, self._monotonic = path, base, monotonic
        self._seen: tuple[int, int] | None = None
        self._change: Rules | None = None
        self._deadline = 0.0

    def rules(self) -> Rules:
        """Return the rules now: those of the file, or those of the setting if there is none or its time is over."""
        try:
            state = self._path.stat()
        except OSError:
            self._seen = self._change = None
            return self._base
        if (seen := (state.st_mtime_ns, state.st_ino)) != self._seen:
            self._seen = seen
            self._read()
        if self._change is not None and self._monotonic() < self._deadline:
            return self._change
        return self._base

    def _read(self) -> None:
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
            change = Change(str(content["rules"]), float(content["until"]), float(content["for_s"]))
            self._change = parse(change.rules)
        except (OSError, ValueError, KeyError, TypeError, PermanentError):  # it was written by something else
            self._change = None
            return
        self._deadline = self._monotonic() + min(change.for_s, change.until - time.time())


def start_watching(base: Rules, levels: Levels = LEVELS_IN_FORCE) -> None:
    """Poll the file that OKR_LOG_LEVEL_FILE names, in a thread. Without the variable, do nothing."""
    if not (name := os.environ.get(FILE)):
        return
    file = LevelFile(Path(name), base)

    def watch() -> None:
        while True:
            if (rules := file.rules()) != levels.rules:
                levels.apply(rules)
            time.sleep(POLL_S)

    threading.Thread(target=watch, name="log-levels", daemon=True).start()
