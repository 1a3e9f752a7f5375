"""Every default of a contract is also applied in SQL: events without optional fields are staged with the defaults."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import msgspec
import orjson
import pytest

from lakehouse.contracts import contracts
from lakehouse.contracts.registry import Contract

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
REQUIRED = {
    msgspec.inspect.StrType: "x",
    msgspec.inspect.FloatType: 0.5,
    msgspec.inspect.IntType: 1,
    msgspec.inspect.DateType: date(2026, 1, 1),
    msgspec.inspect.DateTimeType: AT,
}
# Fields that a rule of their contract ties to another one.
TIED = {"email": "x@example.org", "target": 10.0, "ends_on": date(2026, 3, 31), "direction": "increase"}
# Staging reads the predictions of any model only if they are forecasts of key results.
FORECAST = {"subject_type": "key_result", "outcome_type": "key_result_achieved", "role": "champion",
            "output": {"probability": 0.5, "low": 0.1, "high": 0.9}}  # fmt: skip
FIXED = {"okr.prediction.served.v2": FORECAST, "okr.prediction.shadowed.v1": FORECAST}
NOT_STAGED = {"okr.prediction.shadowed.v1"}  # no mart has the predictions of shadow arms
# Names that SQL reserves or that are ambiguous beside others.
COLUMNS = {
    ("comment", "text"): "comment",
    ("pipeline_step", "rows"): "row_count",
    ("prediction", "subject_id"): "key_result_id",
}


def _least(contract: Contract) -> msgspec.Struct:
    """Return an event of the contract with only its required fields."""
    values: dict[str, Any] = dict(FIXED.get(contract.name, {}))
    for field in msgspec.structs.fields(contract.model):
        if not field.required or field.name in values:
            continue
        kind: Any = msgspec.inspect.type_info(field.type)
        kind = kind.type if isinstance(kind, msgspec.inspect.Metadata) else kind
        is_literal = isinstance(kind, msgspec.inspect.LiteralType)
        values[field.name] = TIED.get(field.name, kind.values[0] if is_literal else REQUIRED.get(type(kind)))
        assert values[field.name] is not None, f"{contract.name}.{field.name}: add a value of {kind} to REQUIRED."
    return contract.model(**values)


def _view(name: str, relations: set[str]) -> str:
    _, noun, verb, _ = name.split(".")
    found = [each for each in (f"stg_{noun}_{verb}", f"stg_{noun}") if each in relations]
    assert found, f"{name}: no staging view holds it, so no mart honours it."
    return found[0]


@pytest.fixture(scope="module")
def staged(dbt: Any, new_log: Callable[[], Any]) -> dict[str, dict[str, Any]]:
    """The staged row of each event type, by its name."""
    log = new_log()
    for contract in contracts().values():
        event = log.add(_least(contract), AT)
        given = {field.name for field in msgspec.structs.fields(contract.model) if field.required}
        given |= FIXED.get(contract.name, {}).keys()
        data = {name: value for name, value in orjson.loads(event.data).items() if name in given}
        log.replace(event, data=orjson.dumps(data))
    log.load(dbt.settings)
    dbt.run("run", "--select", "+path:models/staging")
    relations = {row["table_name"] for row in dbt.rows(
        "select table_name from information_schema.tables where table_schema = 'staging'"
    )}  # fmt: skip
    return {
        name: dbt.row(f"select * from {_view(name, relations)} where event_id = %s", _event_id(log, name))
        for name in contracts()
        if name not in NOT_STAGED
    }


def _event_id(log: Any, name: str) -> Any:
    return next(event.event_id for event in log.events if event.event_type == name)


@pytest.mark.parametrize("name", sorted(contracts().keys() - NOT_STAGED))
def test_an_omitted_field_is_staged_with_its_default(name: str, staged: dict[str, dict[str, Any]]) -> None:
    noun = name.split(".")[1]
    row = staged[name]
    for field in msgspec.structs.fields(contracts()[name].model):
        column = COLUMNS.get((noun, field.name), field.name)
        if field.name in FIXED.get(name, {}):
            continue
        if field.required:
            assert column in row, f"{name}: staging has no column {column}."
            continue
        default = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
        # A field that staging leaves out cannot be misread.
        found = row.get(column, default)
        assert found == default, f"{name}.{field.name}: the contract says {default!r}, SQL {found!r}."
