"""Keeps Schemathesis from ending its own credential: its account, its API key and its rate plan are not changed."""

import os
from typing import Any

import schemathesis

OWN_NAMES = {"fuzzer", "internal", os.environ["OKR_KEY"].split("_")[1]}


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case, kwargs: dict[str, Any]) -> None:
    for name, value in case.path_parameters.items():
        if str(value) in OWN_NAMES:
            case.path_parameters[name] = "another"
