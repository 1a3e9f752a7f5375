"""Which recovery point, base backup and parts a restore uses, and why one is refused."""

import hashlib
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from infra.backup.lake import TableVersion
from infra.backup.places import Places
from infra.backup.plan import choose, parse_time, parts_of, require_same_version
from infra.backup.point import Base, Cut, Point
from infra.local.env_file import write_env_file
from infra.migrations.revisions import scripts
from lakehouse.errors import PermanentError

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
HEAD = next(iter(scripts().walk_revisions())).revision
DIGEST = hashlib.sha256(b"secret").hexdigest()[:16]
PARTS = ("postgres", "wal", "lake", "models", "kafka", "settings")


def point(
    number: int, at: datetime = NOON, *, life: str = "a", is_full: bool = True, base: Base | None = None
) -> Point:
    """A point whose base backup ended a minute before its cut."""
    own = Base(f"base{number}", f"00000001000000000000000{number}", (at - timedelta(minutes=1)).isoformat())
    table = TableVersion(number, "cluster/topic", {0: 10 * number})
    cut = Cut(f"okr-{number}", at.isoformat(), {"okr_user_events": table}, {}, {}, (), HEAD)
    return Point(
        f"id{number}", number, at.isoformat(), is_full, "1.0", DIGEST, 18, "7", life, base or own, cut,
        {part: f"{part}{number}" for part in PARTS}, {},
    )  # fmt: skip


POINTS = [point(1), point(2, NOON + timedelta(hours=1)), point(3, NOON + timedelta(hours=2))]


def test_without_a_time_the_newest_point_is_restored_to_its_mark() -> None:
    assert choose(POINTS, None) == (POINTS[2], POINTS[2].base, None)


def test_a_time_uses_the_next_point_and_the_last_base_backup_before_it() -> None:
    at = NOON + timedelta(minutes=30)
    assert choose(POINTS, at) == (POINTS[1], POINTS[0].base, at)
    later = NOON + timedelta(minutes=59, seconds=30)  # the second base backup had ended
    assert choose(POINTS, later) == (POINTS[1], POINTS[1].base, later)


def test_the_time_of_a_point_is_its_mark() -> None:
    assert choose(POINTS, POINTS[1].moment) == (POINTS[1], POINTS[1].base, None)


def test_a_time_after_the_newest_or_before_the_first_point_is_refused() -> None:
    with pytest.raises(PermanentError, match=r"newest recovery point is 2026-11-29T14:00:00\+00:00, which is before"):
        choose(POINTS, NOON + timedelta(hours=3))
    with pytest.raises(PermanentError, match=r"the first base backup before the recovery point id1 .* ended at"):
        choose(POINTS, NOON - timedelta(hours=1))
    with pytest.raises(PermanentError, match="The repository has no recovery point"):
        choose([], None)


def test_a_base_backup_of_a_life_before_a_restore_is_not_used_for_a_time_after_it() -> None:
    points = [point(1), point(2, NOON + timedelta(hours=2), life="b")]
    with pytest.raises(PermanentError, match="Choose a later time"):
        choose(points, NOON + timedelta(hours=1))


def test_a_clock_that_was_set_back_does_not_change_which_point_is_the_newest() -> None:
    points = [point(1), point(2, NOON - timedelta(days=1))]
    assert choose(points, None)[0] is points[1]
    assert choose(points, NOON - timedelta(minutes=1))[0] is points[0], "the first point that covers this time"


@pytest.mark.parametrize("text", ["2026-11-29T12:00", "2026-11-29 13:00:00+01:00"])
def test_times_without_a_zone_are_utc(text: str) -> None:
    assert parse_time(text) == NOON


def places(folder: Path, cluster: str = "cluster", *, has_settings: bool = True) -> Places:
    """The places of a host whose Kafka belongs to `cluster`."""
    data = folder / "kafka" / "data"
    data.mkdir(parents=True)
    (data / "meta.properties").write_text(f"version=1\ncluster.id={cluster}\n", encoding="ascii")
    if has_settings:
        write_env_file(folder / "stack.env", {"OKR_PG_SUPERUSER_PASSWORD": "secret"})
    return Places(folder, str(folder / "lake"), folder / "mlflow", data)


def test_kafka_and_settings_are_kept_unless_they_are_lost(tmp_path: Path) -> None:
    assert parts_of(POINTS[0], (), places(tmp_path / "a")) == {"postgres", "lake", "models"}
    lost = Places(tmp_path, str(tmp_path / "lake"), tmp_path / "mlflow", tmp_path / "kafka" / "data")
    assert parts_of(POINTS[0], (), lost) == {"postgres", "lake", "models", "kafka", "settings"}


def test_a_kafka_from_which_the_lake_was_not_landed_is_replaced_and_not_mixed_with_it(tmp_path: Path) -> None:
    other = places(tmp_path, "another")
    assert "kafka" in parts_of(POINTS[0], (), other)
    with pytest.raises(PermanentError, match=r"is not the one from which the saved lake was landed.*add --part kafka"):
        parts_of(POINTS[0], ("lake",), other)


def test_a_warehouse_is_never_left_ahead_of_a_lake_that_no_message_can_fill(tmp_path: Path) -> None:
    for part in ("lake", "postgres"):
        with pytest.raises(PermanentError, match="restore both PostgreSQL and the lake or neither"):
            parts_of(POINTS[0], ("kafka", part), places(tmp_path / part))


def test_parts_that_do_not_exist_are_named(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match=r"There is no part redis. Expected postgres, lake"):
        parts_of(POINTS[0], ("redis",), places(tmp_path / "a"))
    without_models = replace(POINTS[0], snapshots={"postgres": "x", "lake": "y"})
    with pytest.raises(PermanentError, match=re.escape("The recovery point id1 has no settings")):
        parts_of(without_models, ("settings",), places(tmp_path / "b"))


def test_a_backup_of_a_later_release_is_refused(tmp_path: Path) -> None:
    own = places(tmp_path)
    newer = replace(POINTS[0], version="9.9", cut=replace(POINTS[0].cut, revision="9999"))
    with pytest.raises(PermanentError, match=r"revision 9999 of the schema, of the release 9\.9.*or a later one"):
        require_same_version(newer, {"postgres"}, own)
    require_same_version(newer, {"lake"}, own)


def test_a_backup_of_an_earlier_postgresql_does_not_replace_a_later_one(tmp_path: Path) -> None:
    own, data = places(tmp_path), tmp_path / "postgres" / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("19\n", encoding="ascii")
    with pytest.raises(PermanentError, match=r"is of PostgreSQL 18, but .* belongs to PostgreSQL 19.*pg_dump"):
        require_same_version(POINTS[0], {"postgres"}, own)


def test_postgresql_does_not_return_to_a_stack_that_does_not_know_its_passwords(tmp_path: Path) -> None:
    own = places(tmp_path, has_settings=False)
    write_env_file(tmp_path / "stack.env", {"OKR_PG_SUPERUSER_PASSWORD": "another"})
    with pytest.raises(PermanentError, match="belongs to another stack, whose passwords"):
        require_same_version(POINTS[0], {"postgres"}, own)
    require_same_version(POINTS[0], {"postgres", "settings"}, own)


def test_a_point_survives_its_json_form_and_one_of_a_later_form_is_refused() -> None:
    text = POINTS[1].to_json().encode()
    assert Point.from_json(text) == POINTS[1]
    with pytest.raises(PermanentError, match="in a form that this release does not know"):
        Point.from_json(text.replace(b'"format": 1', b'"format": 2'))
