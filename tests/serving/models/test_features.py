"""Named features are validated, every fault is reported, and outputs are checked against the model's schema."""

import time
from typing import Any

import pytest

from ml.golden_rows import ROWS
from serving.errors import InvalidFeatures
from serving.models.features import check_output, validated_rows
from serving.models.key_result_forecast import MODEL
from serving.models.key_result_forecast.schemas import KeyResultFeatures, KeyResultOutput

GOOD: dict[str, Any] = dict(ROWS[0])


def faults(row: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(InvalidFeatures) as raised:
        validated_rows([GOOD, row], KeyResultFeatures)
    assert {each.row for each in raised.value.errors} == {1}
    return {each.name: each.detail for each in raised.value.errors}


def test_every_unknown_and_missing_feature_is_named() -> None:
    row = {name: value for name, value in GOOD.items() if name not in {"check_ins", "days_remaining"}}
    found = faults({**row, "progres_ratio": 0.5})
    assert set(found) == {"check_ins", "days_remaining", "progres_ratio"}
    assert found["check_ins"] == "This feature is missing."
    assert "Did you mean progress_ratio?" in found["progres_ratio"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("progress_ratio", True),
        ("progress_ratio", "0.5"),
        ("progress_ratio", None),
        ("progress_ratio", float("nan")),
        ("progress_ratio", float("inf")),
        ("progress_ratio", 1e300),
        ("check_ins", 1.5),
        ("check_ins", -1),
        ("confidence", 70),
        ("remaining_ratio", 0.0),
        ("days_remaining", [1.0]),
        ("noise_ratio", 0.0),
        ("season_ratio", None),
    ],
)
def test_a_value_of_another_type_or_out_of_bounds_is_named(name: str, value: Any) -> None:
    assert set(faults({**GOOD, name: value})) == {name}


def test_an_omitted_optional_feature_is_null_and_a_whole_number_is_a_number() -> None:
    row = {name: value for name, value in GOOD.items() if name != "confidence"}
    (valid,) = validated_rows([{**row, "days_remaining": 3}], KeyResultFeatures)
    assert (valid["confidence"], valid["days_remaining"]) == (None, 3.0)


NOISE_COLUMNS = ("noise_ratio", "peer_drift", "reversion_ratio", "season_ratio")


@pytest.mark.parametrize(("days", "noise"), [((45.0, 3.0), 1.2), ((0.0, 0.0), 0.02)])
def test_without_features_in_units_of_noise_the_noise_depends_on_the_time_left(
    days: tuple[float, float], noise: float
) -> None:
    row = {name: value for name, value in GOOD.items() if name not in NOISE_COLUMNS}
    row |= {"days_remaining": days[0], "days_since_check_in": days[1]}
    (valid,) = validated_rows([row], KeyResultFeatures)
    assert [valid[name] for name in NOISE_COLUMNS] == pytest.approx([noise, 0.0, 0.0, 0.0])


def test_a_row_with_very_many_unknown_features_is_refused_quickly() -> None:
    started = time.process_time()
    found = faults({f"feature_{number}": 1.0 for number in range(100_000)} | {"x" * 900_000: 1.0})
    assert len(found) == 20
    assert time.process_time() - started < 0.5


def test_a_long_name_is_cut() -> None:
    assert max(map(len, faults({**GOOD, "x" * 900_000: 1.0}))) == 100


def test_the_input_schema_has_exactly_the_features_that_the_model_reads() -> None:
    from ml.feature_mart import REQUIRED_FEATURES

    assert set(MODEL.input.__struct_fields__) == set(REQUIRED_FEATURES)


def test_an_invalid_output_is_described() -> None:
    good = {"probability": 0.5, "low": 0.1, "high": 0.9, "level": 0.9}
    assert check_output(good, KeyResultOutput) is None
    assert "probability" in str(check_output({**good, "probability": 1.2}, KeyResultOutput))
    assert "finite" in str(check_output({**good, "low": float("nan")}, KeyResultOutput))
    assert "extra" in str(check_output({**good, "extra": 1}, KeyResultOutput))
