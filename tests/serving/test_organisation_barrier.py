"""PostgreSQL returns no row of another organisation to the API's login for organisations, whatever a query asks."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from psycopg import sql

from lakehouse.warehouse import connect
from serving.auth.account_changes import Assignment
from serving.auth.roles import Role
from serving.auth.visibility import UNRESTRICTED
from serving.data.lists import definitions as lists
from serving.data.lists import queries
from serving.data.lists.definitions import LISTINGS
from serving.data.lists.list_query import ListQuery
from serving.data.lists.listing import Listing
from serving.data.lists.service import ListRequest, read_page
from tests.serving.live_server import Api
from tests.serving.test_organisations import OPERATOR, PASSWORD

OTHER = "organisation-without-data"
READABLE = """
SELECT c.oid::regclass::text, EXISTS (
    SELECT FROM pg_attribute AS a
    WHERE a.attrelid = c.oid AND a.attname = 'organisation_id' AND NOT a.attisdropped
)
FROM pg_class AS c
INNER JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'v', 'm', 'p', 'f') AND n.nspname !~ '^pg_|^information_schema$'
    AND has_schema_privilege('okr_organisation', n.oid, 'USAGE')
    AND has_any_column_privilege('okr_organisation', c.oid, 'SELECT')
ORDER BY 1
"""
# What the login reads without a column organisation_id: marts about the installation, which have no rows for it, and
# rows that belong to a row with an organisation. A new table must have the column or be added here, with a test.
WITHOUT_COLUMN = {
    "marts.fct_alert", "marts.fct_pipeline_run", "marts.fct_reviewed_event", "marts.fct_system_health_hourly",
    "marts.publication", "auth.api_key", "serving.written_event",
}  # fmt: skip
OWNERS = {
    "auth.api_key": "SELECT DISTINCT a.organisation_id FROM auth.api_key JOIN auth.account AS a USING (username)",
    "serving.written_event":
        "SELECT DISTINCT r.organisation_id FROM serving.written_event JOIN serving.write_request r USING (request_id)",
}  # fmt: skip
QUERIES: list[tuple[Listing, type[ListQuery]]] = [
    (lists.KEY_RESULTS, queries.KeyResultsQuery),
    (lists.OKR_PROGRESS, queries.TeamAndCycleQuery),
    (lists.TEAM_SCORECARDS, queries.TeamAndCycleQuery),
    (lists.ORGANISATION_SCORECARDS, queries.OrganisationScorecardsQuery),
    (lists.TEAMS, queries.TeamsQuery),
    (lists.USERS, queries.UsersQuery),
    (lists.CYCLES, queries.CyclesQuery),
    (lists.OBJECTIVES, queries.ObjectivesQuery),
    (lists.CHECK_INS, queries.CheckInsQuery),
    (lists.PROGRESS_DAYS, queries.ProgressDaysQuery),
    (lists.USER_ACTIVITY, queries.UserActivityQuery),
    (lists.CHECK_IN_HYGIENE, queries.TeamAndCycleQuery),
    (lists.HOST_METRICS, queries.HostMetricsQuery),
    (lists.PIPELINE_RUNS, queries.PipelineRunsQuery),
]


@dataclass(frozen=True)
class Barrier:
    """The running API, and the organisation that the published marts are about."""

    api: Api
    organisation_id: str

    def rows(self, query: str, organisation_id: str | None) -> list[tuple[Any, ...]]:
        """Return the rows of a query without any condition, for a caller of an organisation."""
        with connect(self.api.settings.require("dsn_organisation")) as connection:
            if organisation_id is not None:
                connection.execute("SELECT set_config('okr.organisation_id', %s, true)", (organisation_id,))
            return connection.execute(query.encode()).fetchall()

    def all_rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query for the login that sees every organisation."""
        with connect(self.api.settings.require("dsn_serving")) as connection:
            return connection.execute(query.encode()).fetchall()

    def readable(self) -> dict[str, bool]:
        """Return the tables and views that the login can read, and whether they have the column organisation_id."""
        with connect(self.api.settings.require("dsn_owner")) as connection:
            return {str(name): bool(has_column) for name, has_column in connection.execute(READABLE).fetchall()}


@pytest.fixture(scope="module")
def barrier(running_api: Api) -> Iterator[Barrier]:
    """Accounts, API keys, requests and check-ins of two organisations, beside the marts of one of them."""
    settings, auth = running_api.settings, running_api.services.auth
    with connect(settings.require("dsn_serving")) as connection:
        (organisation_id,) = connection.execute("SELECT min(organisation_id) FROM marts.dim_team").fetchone() or ("",)
    accounts = {f"barrier-{number}": each for number, each in enumerate((str(organisation_id), OTHER))}
    for username, each in accounts.items():
        account = auth.account_changes.create(username, Role.ADMIN, PASSWORD, Assignment(each, "nobody"), OPERATOR)
        auth.api_keys.add(username, "test", ["read-data"], OPERATOR)
        headers = {"Authorization": f"Bearer {auth.grants.first(account).access.text}"}
        team = {"team_id": username, "name": "Barrier", "organisation_id": each}
        answer = running_api.client.post("/v1/teams", json=team, headers=headers)
        assert answer.status_code == 202, answer.text
        with psycopg.connect(settings.require("dsn_owner")) as owner:
            owner.execute(
                "INSERT INTO api.check_in_request (operation, username, organisation_id, check_in_id, key_result_id, "
                "body, event_id, occurred_at, warnings) "
                "VALUES ('record', %(username)s, %(each)s, %(username)s, 'k', '{}', gen_random_uuid(), now(), '[]')",
                {"username": username, "each": each},
            )
    yield Barrier(running_api, str(organisation_id))
    with psycopg.connect(settings.require("dsn_owner")) as owner:
        owner.execute("DELETE FROM api.check_in_request WHERE username = ANY(%s)", (list(accounts),))
        owner.execute("DELETE FROM serving.write_request WHERE username = ANY(%s)", (list(accounts),))
    for username in accounts:
        auth.account_changes.disable(username, OPERATOR)


def test_every_relation_that_the_login_reads_is_known_or_has_an_organisation(barrier: Barrier) -> None:
    readable = barrier.readable()
    assert {name for name, has_column in readable.items() if not has_column} == WITHOUT_COLUMN
    assert len(readable) >= 22, "the marts, and five tables of the API"


def test_no_row_of_another_organisation_is_visible_in_any_relation(barrier: Barrier) -> None:
    filled = set()
    for name, has_column in barrier.readable().items():
        if not has_column:
            continue
        query = sql.SQL("SELECT organisation_id FROM {}").format(sql.Identifier(*name.split("."))).as_string()
        total = barrier.all_rows(query)
        for organisation_id in (barrier.organisation_id, OTHER):
            wanted = [row for row in total if row == (organisation_id,)]
            assert barrier.rows(query, organisation_id) == wanted, (name, organisation_id)
            filled |= {(name, organisation_id)} if wanted else set()
        assert barrier.rows(query, None) == [], name
    with_both = {name for name, organisation_id in filled if organisation_id == OTHER}
    assert with_both == {"auth.account", "serving.write_request", "api.check_in_request"}
    assert {name for name, _ in filled} >= {"marts.dim_user", "marts.fct_check_in", "marts.mart_organisation_scorecard"}


def test_rows_that_belong_to_a_row_with_an_organisation_follow_it(barrier: Barrier) -> None:
    for name, query in OWNERS.items():
        for organisation_id in (barrier.organisation_id, OTHER):
            assert barrier.rows(query, organisation_id) == [(organisation_id,)], name
            assert len(barrier.rows(f"SELECT 1 FROM {name}", organisation_id)) == 1, name
        assert barrier.rows(f"SELECT 1 FROM {name}", None) == []


def test_marts_about_the_installation_have_no_rows(barrier: Barrier) -> None:
    for name in sorted(WITHOUT_COLUMN - {"marts.publication"} - OWNERS.keys()):
        assert barrier.rows(f"SELECT 1 FROM {name} LIMIT 1", barrier.organisation_id) == [], name
    assert barrier.all_rows("SELECT 1 FROM marts.fct_system_health_hourly LIMIT 1") == [(1,)]


@pytest.mark.parametrize(("listing", "query"), QUERIES, ids=[listing.path for listing, _ in QUERIES])
def test_a_list_that_forgot_its_condition_shows_no_row_of_another_organisation(
    barrier: Barrier, listing: Listing, query: type[ListQuery]
) -> None:
    """UNRESTRICTED makes every condition of serving/auth/visibility.py true."""
    request, warehouses = ListRequest(listing, query(limit=1000), UNRESTRICTED), barrier.api.services.warehouses
    rows = {
        each: len(warehouses.of(each).read(lambda reader: read_page(reader, request)).value.rows)
        for each in (None, barrier.organisation_id, OTHER)
    }
    assert rows[OTHER] == 0
    if listing.visible == "installation":
        assert rows[barrier.organisation_id] == 0
    else:
        assert 0 < rows[barrier.organisation_id] <= rows[None]


def test_every_list_is_tested() -> None:
    assert [listing.path for listing, _ in QUERIES] == [listing.path for listing in LISTINGS]
