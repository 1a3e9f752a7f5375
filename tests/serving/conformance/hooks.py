"""Keeps Schemathesis from cutting off the branch that it sits on: its own account and that account's rate plan."""

from typing import Any

import schemathesis

OWN_NAMES = {"fuzzer", "internal"}


@schemathesis.hook
def filter_path_parameters(context: schemathesis.HookContext, path_parameters: dict[str, Any] | None) -> bool:
    return OWN_NAMES.isdisjoint(str(value) for value in (path_parameters or {}).values())
