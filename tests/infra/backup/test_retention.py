"""Which recovery points are kept."""

from datetime import timedelta

import pytest

from infra.backup.repository import Snapshot
from infra.backup.repository_errors import DiskFullError
from infra.backup.retention import kept, prune
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


class Stored:
    """A repository as restic 0.14: it lists long ids, while a backup returns short ones."""

    def __init__(self, is_full: bool) -> None:
        self.is_full, self.removed, self.options = is_full, [], []
        parts = ("postgres", "wal", "lake", "models", "kafka", "settings", "base")
        self.all = [
            *(Snapshot(f"{part}{number}-and-more", part, f"id{number}") for number in range(5) for part in parts),
            *(Snapshot(f"point{number}", "point", f"id{number}") for number in range(5)),
            Snapshot("left-by-a-killed-run", "lake", "dead"),
        ]

    def snapshots(self) -> list[Snapshot]:
        return [each for each in self.all if each.id not in self.removed]

    def forget(self, ids: list[str]) -> None:
        if self.is_full and ids:
            raise DiskFullError("full")
        self.removed += ids

    def prune(self, *, without_space: bool = False) -> None:
        self.options.append(without_space)

    def release_reserve(self) -> None:
        self.is_full = False

    def reserve(self) -> None:
        self.options.append("reserve")


@pytest.mark.parametrize("is_full", [False, True])
def test_only_what_no_kept_point_refers_to_is_removed_also_on_a_full_disk(is_full: bool) -> None:
    points = [point(number, NOON + timedelta(days=number)) for number in range(5)]
    repository = Stored(is_full)
    assert prune(repository, points, 2) == (1, 9)  # type: ignore[arg-type]
    assert {each.point for each in repository.snapshots()} == {"id1", "id2", "id3", "id4"}
    assert len(repository.snapshots()) == 4 * 8
    assert repository.options == [is_full, "reserve"]
