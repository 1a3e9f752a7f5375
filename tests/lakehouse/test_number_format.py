"""Formatted numbers preserve order and have no exponent and no negative zero."""

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lakehouse.achieved_score import ACHIEVED_SCORE, TOLERANCE
from lakehouse.contracts.fields import SMALLEST_GAIN
from lakehouse.number_format import Measure, approximate, chance, expected_count, percent, plain, score

VALUES = st.floats(-1e15, 1e15) | st.floats(-1e-6, 1e-6) | st.sampled_from([0.0, -0.0, 5e-324, -5e-324, 1e15, 99.999])
SHARES = st.floats(-20, 20) | st.floats(0, 1) | st.floats(-1e15, 1e15)
EPSILON = 1e-30


def read(text: str) -> float:
    """Return the number that a reader infers from a text: slightly less than 100 for "<100"."""
    side = {"<": -EPSILON, ">": EPSILON}.get(text[0], 0.0)
    number = float(text.lstrip("<>").rstrip("%").replace(",", ""))
    return math.nextafter(number, math.copysign(math.inf, side)) if side else number


def is_plain(text: str) -> bool:
    number = text.lstrip("<>").rstrip("%")
    return "e" not in text.lower() and number not in {"-0", "-0.00", "-0.0"} and text.isascii()


@st.composite
def measures(draw: st.DrawFn) -> Measure:
    baseline, target = draw(VALUES), draw(VALUES)
    if abs(target - baseline) < SMALLEST_GAIN:
        target = baseline + draw(st.sampled_from([1.0, -1.0])) * max(SMALLEST_GAIN, abs(baseline) * 1e-15, 1e-9)
    if abs(target - baseline) < SMALLEST_GAIN:
        target = baseline + 1.0
    return Measure(baseline, target)


@given(measures(), VALUES)
@example(Measure(0.0, 99.999), 99.996)
@example(Measure(99.996, 99.999), 99.9989999)
@example(Measure(120.0, 80.0), 80.0000001)
@example(Measure(0.0, 100.0), math.nextafter(100.0, 0.0))
@example(Measure(0.0, 0.3), 0.1 + 0.2)
@example(Measure(0.0, 1e15), 1e15 - 0.125)
@example(Measure(0.0, 10.0), 5e-324)
@example(Measure(1e-9, 0.0), 5e-10)
def test_a_shown_value_is_on_the_same_side_of_baseline_and_target(measure: Measure, value: float) -> None:
    shown = measure.value(value)
    assert is_plain(shown)
    for mark in (measure.baseline, measure.target):
        text = measure.defined(mark)
        assert is_plain(text)
        if value != mark:
            assert shown != text
        if not shown.startswith(("<", ">")):
            assert (read(shown) > read(text)) - (read(shown) < read(text)) == (value > mark) - (value < mark)
    gain = abs(measure.target - measure.baseline)
    assert abs(read(shown) - value) <= gain / 1_000 + abs(value) * 1e-14, "few digits, but no significant one is lost"


@given(measures())
def test_a_value_equal_to_the_target_is_shown_like_it(measure: Measure) -> None:
    close = measure.value(measure.target), measure.defined(measure.target)
    assert close[0] == close[1] or close[0].lstrip("<>") == close[1]


@given(SHARES)
@example(-0.0049)
@example(0.9996)
@example(1.0004)
@example(0.6996)
def test_a_share_is_shown_as_a_threshold_only_if_it_equals_it(share: float) -> None:
    for text, scale in ((percent(share), 100.0), (percent(share, decimals=1), 100.0), (score(share), 1.0)):
        assert is_plain(text)
        for mark in (0.0, ACHIEVED_SCORE, 1.0):
            if abs(share - mark) > TOLERANCE:
                assert (read(text) > mark * scale) == (share > mark), f"{share} reads as {text}"
        assert abs(read(text) - share * scale) <= 0.51 + abs(share) * scale * 1e-12


@given(st.floats(0, 1))
def test_a_chance_is_whole_and_shown_as_certain_only_if_the_forecast_is(probability: float) -> None:
    text = chance(probability)
    assert is_plain(text)
    assert "." not in text
    assert (text == "100%") == (probability == 1)
    assert (text == "0%") == (probability == 0)


@given(SHARES, SHARES)
@example(0.0396, 0.0404)
@example(0.0, 1e-08)
def test_two_shares_in_one_sentence_look_equal_only_if_they_are(share: float, other: float) -> None:
    """Except two that are both too close to a threshold: both are shown as ">0%", which is true."""
    shown, beside = percent(share, decimals=1, beside=(other,)), percent(other, decimals=1)
    if abs(share - other) > TOLERANCE and not beside.startswith(("<", ">")):
        assert shown != beside


@given(VALUES)
def test_a_number_without_a_unit_has_no_exponent_and_keeps_its_sign(value: float) -> None:
    text = plain(value)
    assert is_plain(text)
    assert (read(text) > 0, read(text) < 0) == (value > 0, value < 0)


@pytest.mark.parametrize(
    ("measure", "value", "text"),
    [
        (Measure(0.0, 100.0), 42.35, "42.35"),
        (Measure(0.0, 100.0), 42.3549, "42.35"),
        (Measure(0.0, 99.999), 99.996, "99.996"),
        (Measure(0.0, 99.999), 100.0, "100"),
        (Measure(0.0, 100.0), 99.9999999, "99.9999999"),
        (Measure(0.0, 100.0), math.nextafter(100.0, 0.0), "<100"),
        (Measure(0.0, 10.0), 1e-300, ">0"),
        (Measure(0.0, 10.0), -1e-300, "<0"),
        (Measure(0.0, 10.0), -0.0, "0"),
        (Measure(120.0, 80.0), 100.123456, "100.123"),
        (Measure(0.0, 2_500_000.0), 1_234_567.4, "1,234,567"),
        (Measure(0.0, 1e15), 123_456_789_012_345.0, "123,456,789,012,345"),
        (Measure(0.0, 1e-6), 2.5e-7, "0.00000025"),
        (Measure(1.0, 0.0), None, "-"),
    ],
)
def test_values_are_shown_as_people_write_them(measure: Measure, value: float | None, text: str) -> None:
    assert measure.value(value) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.423, "42%"), (0.0, "0%"), (-0.0, "0%"), (-0.004, "-0.4%"), (-1e-5, "<0%"), (0.996, "99.6%"), (1.0, "100%"),
        (1.004, "100.4%"), (0.696, "69.6%"), (0.7 - 1e-12, "70%"), (0.1 + 0.2, "30%"), (-4.5, "-450%"), (None, "-"),
        (1e13, "1,000,000,000,000,000%"), (0.00001, ">0%"), (math.nan, "-"),
    ],
)  # fmt: skip
def test_shares_are_shown_as_people_write_them(share: float | None, text: str) -> None:
    assert percent(share) == text


def test_a_score_just_below_the_threshold_is_not_shown_as_achieved() -> None:
    assert [score(value) for value in (0.8, 0.6996, 0.69999, 0.7, 0.70001, None)] == [
        "0.80", "0.6996", "<0.70", "0.70", ">0.70", "-",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0.97, "0.97"), (0.5, "0.5"), (1.0, "1"), (2.96, "2.96"), (3.14, "3.1"), (0.99999, "<1"), (0.0, "0"),
        (sum([0.1] * 10), "1"),
    ],
)  # fmt: skip
def test_an_expected_count_is_shown_as_a_whole_number_only_if_it_is_one(count: float, text: str) -> None:
    """A team with one key result and a chance of 97% was shown as "expected achieved 1 / 1"."""
    assert expected_count(count) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (12.34, "12"), (-0.00123, "0.0012"), (123_456.0, "120,000"), (99.6, "100"), (0.996, "1"), (3.0, "3"),
        (0.0, "0"), (1e-300, "0"), (1e15, "1,000,000,000,000,000"), (math.nan, "-"), (math.inf, "-"),
    ],
)  # fmt: skip
def test_the_size_of_an_estimate_has_two_digits(value: float, text: str) -> None:
    assert approximate(value) == text
