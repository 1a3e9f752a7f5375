"""What row-level security costs: reads of the API with and without policies, and with security-barrier views instead.

The warehouse contains the demo's organisation. Each variant runs in turn. The fastest runs are compared, because other
load on the machine only slows runs down.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from lakehouse.publishing import marts_build
from lakehouse.settings import Settings
from lakehouse.warehouse import connect, read_sql
from serving.auth.visibility import UNRESTRICTED
from serving.data.lists import definitions, queries
from serving.data.lists.page_statement import page_statement
from serving.data.lists.service import ListRequest, _parameters
from tests.benchmarks import organisations
from tests.databases import NewDatabase
from tests.dbt_process import run_dbt
from tests.publications import publish_build

REPEATS, ROUNDS = 6, 7  # short rounds in turn, so that other load affects all variants
COST_LIMIT = 1.25
ANALYST = (
    "SELECT d.team_id, d.status, count(*), avg(d.progress_ratio) FROM marts.fct_key_result_daily AS d "
    "JOIN marts.dim_team AS t ON t.team_id = d.team_id AND t.is_current "
    "JOIN marts.mart_okr_scorecard AS s USING (key_result_id) GROUP BY 1, 2"
)
ONE = (
    "SELECT * FROM marts.mart_okr_scorecard WHERE key_result_id = (SELECT min(key_result_id) FROM marts.dim_key_result)"
)
BARRIER_VIEWS = """
DO $$
DECLARE
    one record;
BEGIN
    CREATE SCHEMA barrier;
    GRANT USAGE ON SCHEMA barrier TO okr_serving, okr_organisation, okr_analyst;
    FOR one IN
        SELECT c.oid, c.relname, EXISTS (
            SELECT FROM pg_attribute WHERE attrelid = c.oid AND attname = 'organisation_id' AND NOT attisdropped
        ) AS has_organisation
        FROM pg_class AS c WHERE c.relnamespace = 'marts_store'::regnamespace AND c.relkind = 'p'
    LOOP
        EXECUTE format(
            'CREATE VIEW barrier.%I WITH (security_barrier) AS SELECT * FROM marts_store.%I WHERE published_version = ('
            'SELECT publication_id FROM publishing.switch WHERE attachment_id <= publishing.newest_attachment() '
            'ORDER BY switch_id DESC LIMIT 1) AND ((SELECT publishing.reader_kind()) <> ''one organisation'' %s)',
            one.relname, one.relname,
            CASE WHEN one.has_organisation THEN 'OR organisation_id = (SELECT publishing.reader_organisation())' END
        );
        EXECUTE format('GRANT SELECT ON barrier.%I TO okr_serving, okr_organisation, okr_analyst', one.relname);
    END LOOP;
END
$$
"""

Work = Callable[[psycopg.Connection[Any], Callable[[str], str]], None]


@pytest.fixture(scope="module")
def published(new_database: NewDatabase, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    with new_database() as settings:
        organisations.fill(settings, 1)
        marts_build.prepare_build(settings.require("dsn_transform"), "run")
        run_dbt(settings, tmp_path_factory.mktemp("dbt"), "run")
        publish_build(settings)
        with connect(settings.require("dsn_transform")) as owner:
            owner.execute(BARRIER_VIEWS)
        yield settings


def a_page(listing: Any, query: Any) -> Work:
    request = ListRequest(listing, query, UNRESTRICTED)

    def run(connection: psycopg.Connection[Any], renamed: Callable[[str], str]) -> None:
        statement = page_statement(listing, request.columns, request.order, None).as_string(connection)
        connection.execute(renamed(statement).encode(), _parameters(request, None, 101)).fetchall()

    return run


def a_query(text: str, values: Any = None) -> Work:
    def run(connection: psycopg.Connection[Any], renamed: Callable[[str], str]) -> None:
        connection.execute(renamed(text).encode(), values).fetchall()

    return run


BATCH = read_sql("serving.predictor", "queries/key_results")
RUNNING = {"running": ["no_check_in", "on_track", "at_risk", "off_track"]}
WORK: dict[str, Work] = {
    "page of key results": a_page(definitions.KEY_RESULTS, queries.KeyResultsQuery()),
    "page of check-ins": a_page(definitions.CHECK_INS, queries.CheckInsQuery()),
    "page of team scorecards": a_page(definitions.TEAM_SCORECARDS, queries.TeamAndCycleQuery()),
    "one key result": a_query(ONE),
    "batch of /predict": a_query(BATCH, RUNNING),
    "analyst's join": a_query(ANALYST),
}
VARIANTS = ("no policy", "policy, every organisation", "policy, one organisation", "barrier view, one organisation")


@contextmanager
def without_policies(settings: Settings, *, are_off: bool) -> Iterator[None]:
    """Disable the policies while the variant `no policy` runs."""
    stores = (
        "SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'marts_store'::regnamespace AND relkind = 'p'"
    )
    with connect(settings.require("dsn_transform"), autocommit=True) as owner:
        names = [name for (name,) in owner.execute(stores).fetchall()] if are_off else []
        for name in names:
            owner.execute(f"ALTER TABLE {name} DISABLE ROW LEVEL SECURITY".encode())
        yield
        for name in names:
            owner.execute(f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY".encode())


def test_policies_cost_little(published: Settings) -> None:
    seconds: dict[tuple[str, str], list[float]] = {}
    with connect(published.require("dsn_serving")) as connection:
        row = connection.execute("SELECT min(organisation_id) FROM marts.dim_team").fetchone()
    for variant in VARIANTS * REPEATS:
        login = "dsn_organisation" if "one" in variant else "dsn_serving"
        schema = "barrier" if "barrier" in variant else "marts"
        with (
            without_policies(published, are_off=variant == "no policy"),
            connect(published.require(login)) as connection,
        ):
            connection.prepare_threshold = None
            connection.execute("SELECT set_config('okr.organisation_id', %s, false)", row)
            for name, work in WORK.items():
                for _ in range(ROUNDS):
                    started = time.perf_counter()
                    work(connection, lambda text, schema=schema: text.replace("marts.", f"{schema}."))
                    seconds.setdefault((name, variant), []).append(time.perf_counter() - started)
    print(f"\nfastest of {REPEATS * ROUNDS}; in ms: {', '.join(VARIANTS)}")
    ratios = {}
    for name in WORK:
        fastest = [min(seconds[name, variant]) * 1000 for variant in VARIANTS]
        ratios[name] = [each / fastest[0] for each in fastest]
        print(f"{name:<26}", *(f"{value:8.2f}" for value in fastest), *(f"{ratio:6.2f}" for ratio in ratios[name]))
    for name in WORK:
        assert max(ratios[name][1:3]) < COST_LIMIT, name
