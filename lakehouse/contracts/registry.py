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
class Personal:
    """Personal fields of `data`, which are texts and are encrypted at rest (ADR 34).

    `entity` is the field with the id of the entity that the texts belong to, and `user_id` names the person whose key
    encrypts them. If an event names no person, the key of the entity in its Kafka key is used.
    """

    fields: tuple[str, ...]
    entity: str


@dataclass(frozen=True)
class Contract:
    """An event type: its name, its topic, the field of `data` that is the Kafka key, and the model of `data`."""

    name: str
    topic: str
    key: str
    model: type[msgspec.Struct]
    personal: Personal | None = None

    @property
    def noun(self) -> str:
        """Return the entity's name in the event type, e.g. `check_in`."""
        return self.name.split(".")[1]


def event(name: str, *, topic: str, key: str, personal: Personal | None = None) -> Callable[[type[S]], type[S]]:
    """Register a Struct as the contract of an event type (a class decorator)."""

    def register(model: type[S]) -> type[S]:
        fields = (key, *((*personal.fields, personal.entity, "user_id") if personal else ()))
        if topic not in TOPICS or not set(fields) <= set(model.__struct_fields__):
            raise ValueError(f"{name}: unknown topic {topic!r}, or {model.__name__} lacks one of {fields}")
        _registered[name] = Contract(name, topic, key, model, personal)
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
