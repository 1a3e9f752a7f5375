"""The assignment of units to arms: equal everywhere, sticky, independent of other arms, and proportional."""

import os
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from serving.experiments.arm_assignment import unit_fraction
from serving.experiments.experiment import Arm, Experiment, Guardrails, fault_of
from serving.experiments.guardrails import calibration_fault, fault_of_arm

UNITS = [f"kr-{number}" for number in range(4000)]


def experiment(*arms: Arm, stopped: tuple[str, ...] = ()) -> Experiment:
    return Experiment(
        experiment_id=1, name="e", model_name="m", unit="key_result", salt="salt", arms=arms, guardrails=Guardrails(),
        state="running", stopped_arms=dict.fromkeys(stopped, "slow"), created_at=datetime.now(UTC), created_by="test",
    )  # fmt: skip


HALVES = (Arm(name="a", reference="1", share=0.5), Arm(name="b", reference="2", share=0.3))


# From `printf salt/kr-1 | sha256sum`: the first 14 hex digits as a number, shifted right by 3 bits, over 2^53.
@pytest.mark.parametrize(
    ("salt", "unit", "expected"),
    [
        ("salt", "kr-1", 0.3364803316079562),
        ("salt", "kr-2", 0.08018712745020617),
        ("pepper", "kr-1", 0.1595543081210019),
        ("salt", "ключ 🎯", 0.8411313490825466),
    ],
)
def test_known_positions(salt: str, unit: str, expected: float) -> None:
    assert unit_fraction(salt, unit) == expected


def test_another_process_assigns_equally() -> None:
    code = (
        "from serving.experiments.arm_assignment import unit_fraction; "
        "print([unit_fraction('s', f'u{n}') for n in range(9)])"
    )
    env = {**os.environ, "PYTHONHASHSEED": "7"}
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert other.stdout.strip() == str([unit_fraction("s", f"u{number}") for number in range(9)])


def test_shares_are_kept_and_the_rest_is_in_no_arm() -> None:
    found = [arm.name if (arm := experiment(*HALVES).arm_of(unit)) else None for unit in UNITS]
    shares = {name: found.count(name) / len(UNITS) for name in ("a", "b", None)}
    assert shares == pytest.approx({"a": 0.5, "b": 0.3, None: 0.2}, abs=0.03)


def test_stopping_an_arm_moves_no_unit_of_another_arm() -> None:
    running, stopped = experiment(*HALVES), experiment(*HALVES, stopped=("a",))
    for unit in UNITS[:500]:
        before, after = running.arm_of(unit), stopped.arm_of(unit)
        assert after == (None if before is None or before.name == "a" else before)


def test_a_shadow_arm_takes_no_units_from_the_others() -> None:
    shadow = Arm(name="s", reference="3", share=0.5, is_shadow=True)
    both = experiment(shadow, *HALVES)
    assert [both.arm_of(unit) for unit in UNITS[:500]] == [experiment(*HALVES).arm_of(unit) for unit in UNITS[:500]]
    assert sum(both.shadows_of(unit) == [shadow] for unit in UNITS) / len(UNITS) == pytest.approx(0.5, abs=0.03)


def test_a_request_without_the_unit_is_in_no_arm() -> None:
    assert experiment(Arm(name="all", reference="1", share=1.0)).arm_of(None) is None


def test_arms_that_cannot_form_an_experiment_are_refused() -> None:
    assert "at least one" in str(fault_of(()))
    assert "unique name" in str(fault_of((HALVES[0], HALVES[0])))
    assert "add up to 1.3" in str(fault_of((*HALVES, Arm(name="c", reference="3", share=0.5))))
    assert fault_of((*HALVES, Arm(name="s", reference="3", share=1.0, is_shadow=True))) is None


@pytest.mark.parametrize(
    ("calls", "failed", "slow", "fault"),
    [
        (20, 1, 0, None),
        (20, 2, 0, "10.0% of its 20 calls in the last 5 min failed; at most 5.0% may."),
        (19, 19, 19, None),
        (100, 0, 5, None),
        (100, 0, 6, "6.0% of its 100 calls in the last 5 min took longer than 50 ms; at most 5% may."),
    ],
)
def test_guardrails_stop_an_arm_only_after_enough_calls(calls: int, failed: int, slow: int, fault: str | None) -> None:
    assert fault_of_arm(Guardrails(max_latency_ms=50.0), calls, failed, slow) == fault


@pytest.mark.parametrize(
    ("key_results", "probability", "achieved", "is_stopped"),
    [(50, 0.8, 0.5, True), (49, 0.8, 0.5, False), (50, 0.3, 0.5, False), (50, 0.2, 0.5, True)],
)
def test_an_arm_whose_probabilities_are_off_is_stopped(
    key_results: int, probability: float, achieved: float, is_stopped: bool
) -> None:
    fault = calibration_fault(Guardrails(max_calibration_gap=0.25), key_results, probability, achieved)
    assert (fault is not None) == is_stopped
    assert calibration_fault(Guardrails(), key_results, probability, achieved) is None
