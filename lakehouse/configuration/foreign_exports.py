"""Variables that the caller exported for another stack: stack.env takes precedence over them (ADR 12)."""

import os
from pathlib import Path

from dotenv import dotenv_values

from lakehouse.settings import STACK_ENV, is_environment_only


def foreign_exports(state: Path) -> list[str]:
    """Return the exported variables whose values differ from those in `<state>/stack.env`, which take precedence.

    Without a stack.env (on a server, in a container), there are none, and the environment applies.
    """
    exported = {name for name in os.environ if name.startswith("OKR_") and name != "OKR_STATE"}
    env_file = state / STACK_ENV
    if not exported or is_environment_only() or not os.access(env_file, os.R_OK):
        return []
    stack = dotenv_values(env_file)
    return sorted(name for name in exported & stack.keys() if os.environ[name] != stack[name])


def drop_foreign_exports(state: Path) -> list[str]:
    """Remove variables of another stack from the environment; return a line that names them, if any."""
    foreign = foreign_exports(state)
    for name in foreign:
        del os.environ[name]
    if not foreign:
        return []
    return [
        f"ignored {', '.join(foreign)} from the environment: {state / STACK_ENV} has different values, which take "
        "precedence. `unset` them, or set OKR_STATE to the folder of the stack that you mean."
    ]
