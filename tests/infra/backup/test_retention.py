"""Which recovery points are kept."""

from datetime import timedelta

from infra.backup.retention import kept
from tests.infra.backup.test_plan import NOON, point


def numbers(points: list[object], days: int) -> list[int]:
    return [each.number for each in kept(points, days)]  # type: ignore[attr-defined, arg-type]


def test_the_window_and_the_point_before_it_are_kept() -> None:
    points = [point(day, NOON + timedelta(days=day)) for day in range(10)]
    assert numbers([*points], 4) == [4, 5, 6, 7, 8, 9]


def test_of_points_without_a_base_backup_only_those_since_the_newest_base_backup_are_kept() -> None:
    points = [
        point(number, NOON + timedelta(hours=number), is_full=number in (0, 4)) for number in range(8)
    ]  # fmt: skip
    assert numbers([*points], 35) == [0, 4, 5, 6, 7]


def test_a_clock_that_jumps_a_year_ahead_does_not_remove_the_last_complete_points() -> None:
    points = [point(day, NOON + timedelta(days=day)) for day in range(5)] + [point(5, NOON + timedelta(days=365))]
    assert numbers([*points], 35) == [3, 4, 5]


def test_a_clock_that_is_set_back_removes_nothing() -> None:
    points = [point(day, NOON + timedelta(days=day)) for day in range(3)] + [point(3, NOON - timedelta(days=400))]
    assert numbers([*points], 35) == [0, 1, 2, 3]


def test_without_a_complete_point_nothing_is_removed() -> None:
    points = [point(number, is_full=False) for number in range(3)]
    assert numbers([*points], 1) == [0, 1, 2]
