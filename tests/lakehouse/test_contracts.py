import json
from datetime import date
from pathlib import Path

import msgspec
import pytest

from lakehouse.contracts import TOPICS, contract_of, contracts
from lakehouse.errors import ContractViolation

KEY_RESULT = {
    "key_result_id": "kr", "objective_id": "o", "title": "t", "unit": "u", "baseline": 0.0, "target": 10.0,
    "direction": "increase",
}  # fmt: skip


def read(event_type, **data):
    return msgspec.convert(data, contract_of(event_type).model)


def test_every_contract_names_its_noun_topic_and_key():
    assert len(contracts()) >= 11
    for name, contract in contracts().items():
        assert contract.topic in TOPICS
        assert contract.key in contract.model.__struct_fields__
        assert contract.model.__doc__, name


def test_an_unknown_type_is_rejected_with_a_reason():
    with pytest.raises(ContractViolation) as refused:
        contract_of("okr.moon.landed.v1")
    assert refused.value.reason == "unknown_type"


def test_a_falling_metric_has_its_target_below_its_baseline():
    read("okr.key_result.defined.v1", **KEY_RESULT | {"baseline": 10.0, "target": 2.0, "direction": "decrease"})
    with pytest.raises(msgspec.ValidationError, match="contradicts"):
        read("okr.key_result.defined.v1", **KEY_RESULT | {"direction": "decrease"})


@pytest.mark.parametrize("target", [0.0, 1e-12])
def test_a_target_equal_to_the_baseline_is_rejected(target):
    with pytest.raises(msgspec.ValidationError, match="target must differ"):
        read("okr.key_result.defined.v1", **KEY_RESULT | {"target": target})


@pytest.mark.parametrize("value", [1e16, -1e16])
def test_values_too_large_for_exact_floats_are_rejected(value):
    with pytest.raises(msgspec.ValidationError):
        read("okr.check_in.recorded.v1", check_in_id="c", key_result_id="kr", value=value)


def test_a_cycle_ends_after_it_starts():
    cycle = {"cycle_id": "c", "organisation_id": "o", "name": "n", "starts_on": date(2026, 1, 1)}
    with pytest.raises(msgspec.ValidationError, match="a cycle lasts"):
        read("okr.cycle.defined.v1", **cycle, ends_on=date(2025, 12, 31))


@pytest.mark.parametrize("confidence", [-0.1, 1.1])
def test_a_confidence_is_a_ratio(confidence):
    with pytest.raises(msgspec.ValidationError):
        read("okr.check_in.recorded.v1", check_in_id="c", key_result_id="kr", value=1.0, confidence=confidence)


def test_boundary_values_of_rules_across_fields_are_still_accepted():
    """JSON Schema cannot express rules across fields, so the schema check would not notice stricter ones."""
    lines = Path(__file__).with_name("accepted.jsonl").read_text().splitlines()
    assert len(lines) >= 8
    for line in map(json.loads, lines):
        msgspec.json.decode(json.dumps(line["data"]), type=contract_of(line["type"]).model)
