"""The event type registry, to which each module of this package adds its contracts."""

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import TypeVar

import msgspec

from lakehouse.errors import ContractViolation

TOPICS = ("okr_user_events", "okr_system_metrics", "okr_ai_predictions", "okr_data_pipeline")

S = TypeVar("S", bound=msgspec.Struct)

_registered: dict[str, "Contract"] = {}


@dataclass(frozen=True)
class Contract:
    """An event type: its name, its topic, the field of `data` that is the Kafka key, and the model of `data`."""

    name: str
    topic: str
    key: str
    model: type[msgspec.Struct]


def event(name: str, *, topic: str, key: str) -> Callable[[type[S]], type[S]]:
    """Register a Struct as the contract of an event type (a class decorator)."""

    def register(model: type[S]) -> type[S]:
        if topic not in TOPICS or key not in model.__struct_fields__:
            raise ValueError(f"{name}: unknown topic {topic!r}, or {key!r} is not a field of {model.__name__}")
        _registered[name] = Contract(name, topic, key, model)
        return model

    return register


@cache
def contracts() -> Mapping[str, Contract]:
    """Return all contracts by event type. The first call imports all modules of this package."""
    package = __name__.rpartition(".")[0]
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        importlib.import_module(f"{package}.{module.name}")
    return MappingProxyType(_registered)


def contract_of(name: str) -> Contract:
    """Return the contract of an event type.

    Raises:
        ContractViolation: the type is unknown (reason `unknown_type`).
    """
    known = contracts()
    if name not in known:
        raise ContractViolation("unknown_type", f"Unknown event type {name!r}; known: {', '.join(sorted(known))}.")
    return known[name]
