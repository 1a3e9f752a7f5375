"""A build that reuses tables of the last publication gives the same rows as a full build."""

import random
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from dbt.contracts.graph.manifest import Manifest

from dags.steps.models_to_rebuild import models_to_rebuild
from lakehouse.contracts import TOPICS
from lakehouse.contracts.team import TeamDefined
from lakehouse.publishing import marts_build, publication
from lakehouse.publishing.carry_over import find_basis, hash_of_inputs
from lakehouse.settings import Settings
from lakehouse.warehouse import connect
from tests.databases import NewDatabase
from tests.dbt_project.conftest import Dbt, Log
from tests.dbt_project.random_log import random_log
from tests.publications import passed

FREQUENT = {"okr.check_in.recorded.v1", "okr.host_metric.sampled.v1", "okr.page.viewed.v1"}
OFTEN_THE_SAME = {"dim_cycle", "dim_key_result", "dim_objective", "dim_team", "dim_user"}


class Runs:
    """Pipeline runs on one database: each loads a further part of a log, builds and publishes."""

    def __init__(self, dbt: Dbt, log: Log, manifest: Manifest) -> None:
        self.dbt, self.log, self.number, self.loaded = dbt, log, 0, 0
        self.manifest = manifest
        self.dsn = dbt.settings.require("dsn_transform")

    def run(self, project: str = "project", whole: tuple[str, ...] = ()) -> set[str]:
        """Build as the ETL does, `whole` for a full build; return the names of the built models, or none for all."""
        self.number += 1
        build = f"run-{self.number}"
        self.log.append_to_raw(self.dbt.settings, self.log.events[self.loaded :])
        self.loaded = len(self.log.events)
        _set_watermarks(self.dbt.settings, self.log)
        basis = marts_build.prepare_build(self.dsn, build, project=project)
        names = models_to_rebuild(self.manifest, basis.changed) if basis else []
        if basis:
            marts_build.copy_unchanged_marts(self.dsn, basis.publication_id, names)
        self.dbt.run("build", "--exclude-resource-type=unit_test", *(["--select", *names] if names else whole))
        if names and marts_build.withheld_events_changed(self.dsn):
            names = []
            marts_build.prepare_build(self.dsn, build, project=project)
            self.dbt.run("build", "--exclude-resource-type=unit_test")
        marts_build.finish_build(self.dsn, build)
        return set(names)

    def publish(self) -> dict[str, list[str]]:
        """Publish the build; return the content of all marts."""
        content = {
            f"{schema}.{name}": sorted(map(repr, self.dbt.rows(f"select * from {schema}_build.{name}")))
            for schema, name in (tuple(row.values()) for row in self.dbt.rows(TABLES))
        }
        build = f"run-{self.number}"
        publication.publish(self.dsn, gate=passed(build), model_version=None)
        return content


TABLES = (
    "select replace(schemaname, '_build', '') as schema, tablename from pg_tables "
    "where schemaname in ('marts_build', 'ml_build') order by 1, 2"
)


def _set_watermarks(settings: Settings, log: Log) -> None:
    with connect(settings.require("dsn_loader")) as connection:
        connection.execute("DELETE FROM raw.load_watermark")
        for place in {(event.topic, event.partition) for event in log.events}:
            offset = 1 + max(event.offset for event in log.events if (event.topic, event.partition) == place)
            connection.execute("INSERT INTO raw.load_watermark VALUES (%s, %s, %s)", (*place, offset))


@pytest.fixture
def runs(new_database: NewDatabase, dbt_target: Path, parsed_project: Path) -> Any:
    manifest = Manifest.from_msgpack((parsed_project / "partial_parse.msgpack").read_bytes())
    with new_database() as settings:
        yield Runs(Dbt(settings, dbt_target), Log(), manifest)


def test_a_chain_of_incremental_builds_equals_a_full_build_row_by_row(runs: Any, new_log: Callable[[], Any]) -> None:
    whole, dice = random_log(new_log(), seed=3), random.Random(4)
    often = [event for event in whole.events if event.event_type in FREQUENT]
    late = {id(event) for event in dice.sample(often, len(often) // 4)}
    seldom = [event for event in whole.events if event.event_type not in FREQUENT]
    latest = {id(event) for event in dice.sample(seldom, len(seldom) // 4)}
    runs.log.merge([event for event in whole.events if id(event) not in late | latest])
    assert not runs.run()
    runs.publish()

    runs.log.merge([event for event in whole.events if id(event) in late])
    few = runs.run()
    assert few
    carried = runs.dbt.row("select obj_description('marts_build.dim_team'::regclass) as said")
    assert carried["said"].startswith("Grain:"), "what dbt wrote at a mart is copied with it"
    assert not few & OFTEN_THE_SAME
    assert not {name for name in few if name.startswith("stg_")}
    runs.publish()

    runs.log.merge([event for event in whole.events if id(event) in latest])
    assert runs.run() & OFTEN_THE_SAME
    built_on = runs.publish()

    assert not runs.run(project="another project")
    assert built_on == runs.publish()


def test_an_event_that_changes_which_events_count_causes_a_full_build(runs: Any) -> None:
    """The conflict here: a team is defined again, for another organisation."""
    runs.log.organisation()
    runs.log.key_result("kr")
    runs.log.check_in("kr", 5.0, datetime(2026, 1, 5, tzinfo=UTC))
    runs.run()
    runs.publish()
    runs.log.check_in("kr", 6.0, datetime(2026, 1, 6, tzinfo=UTC))
    assert runs.run(), "an ordinary check-in changes what depends on it alone"
    runs.publish()
    runs.log.add(TeamDefined(team_id="team", organisation_id="another", name="Taken"), datetime(2026, 1, 7, tzinfo=UTC))
    assert not runs.run(), "it is withheld, and so everything is built"
    assert [row["rule"] for row in runs.dbt.rows("select rule from marts_build.fct_reviewed_event")]
    built_on = runs.publish()
    assert not runs.run(project="another project")
    assert built_on == runs.publish()


# Other inputs of a build, and how each change is undone.
CHANGES = [
    (
        "dsn_owner",
        "INSERT INTO ops.event_review VALUES (gen_random_uuid(), 'manual', 'withhold', 'n', 'me', now())",
        "DELETE FROM ops.event_review",
    ),
    (  # a migration was applied
        "dsn_owner",
        "UPDATE public.schema_version SET version_num = 'next-' || version_num",
        "UPDATE public.schema_version SET version_num = substr(version_num, 6)",
    ),
    (  # readers see another publication
        "dsn_owner",
        "UPDATE ops.publication SET is_current = false",
        "UPDATE ops.publication SET is_current = true",
    ),
    (  # a manual build
        "dsn_transform",
        "ALTER TABLE intermediate.int_team RENAME TO old; CREATE TABLE intermediate.int_team AS TABLE intermediate.old",
        "DROP TABLE intermediate.int_team; ALTER TABLE intermediate.old RENAME TO int_team",
    ),
]


def test_a_build_is_full_if_anything_but_the_log_changed(runs: Any) -> None:
    runs.log.organisation()
    runs.log.check_in("unknown", 5.0, datetime(2026, 1, 5, tzinfo=UTC))
    runs.run(whole=("--indirect-selection=cautious", "--select", "+dim_team", "int_data_as_of"))
    assert _basis(runs) is None, "what was not published is nothing to begin with"
    runs.publish()
    assert _basis(runs).changed == set()
    assert _basis(runs, "another project") is None
    for role, change, undo in CHANGES:
        _execute(runs, role, change)
        assert _basis(runs) is None, change
        _execute(runs, role, undo)
        assert _basis(runs) is not None, undo
    _execute(runs, "dsn_loader", "TRUNCATE raw.okr_user_events")
    assert _basis(runs) is None, "a repair loads raw again, up to the same offsets"


@pytest.mark.parametrize("change", ["DELETE FROM raw.{}", "UPDATE raw.{} SET data = data", "TRUNCATE raw.{}"])
@pytest.mark.parametrize("topic", TOPICS)
def test_changing_raw_other_than_by_loading_causes_a_full_build(
    fresh_database: Settings, topic: str, change: str
) -> None:
    """An erasure, or a migration that changes rows, adds no event and keeps the tables in place on disk."""
    dsn = fresh_database.require("dsn_transform")
    with connect(dsn) as connection:
        before = hash_of_inputs(connection, "project")
        assert hash_of_inputs(connection, "project") == before
    with connect(fresh_database.require("dsn_loader")) as connection:
        connection.execute(change.format(topic).encode())
    with connect(dsn) as connection:
        assert hash_of_inputs(connection, "project") != before


def test_a_build_after_an_erasure_is_full(runs: Any) -> None:
    runs.log.organisation()
    runs.log.key_result("kr")
    for day in (5, 6):
        runs.log.check_in("kr", day, datetime(2026, 1, day, tzinfo=UTC))
    runs.run()
    runs.publish()
    erased = runs.log.events[-1]
    _execute(runs, "dsn_owner", f"DELETE FROM raw.{erased.topic} WHERE event_id = '{erased.event_id}'")
    assert not runs.run()
    remaining = runs.dbt.rows("select checked_in_at from marts_build.fct_check_in")
    assert [row["checked_in_at"].day for row in remaining] == [5], "no table of the publication before was reused"


def _basis(runs: Any, project: str = "project") -> Any:
    """Query the inputs as a build does, and keep the record of the previous build."""
    with connect(runs.dsn) as connection:
        before, now = marts_build.read_metadata(connection), hash_of_inputs(connection, project)
        return find_basis(connection, before, now)


def _execute(runs: Any, role: str, statement: str) -> None:
    with connect(runs.dbt.settings.require(role)) as connection:
        connection.execute(statement.encode())
