"""A walk through a list continues while new publications arrive, and loses and repeats nothing."""

from collections.abc import Iterator
from itertools import count

import pytest

from lakehouse.publishing import marts_build
from lakehouse.settings import Settings
from lakehouse.warehouse import connect
from serving.auth.visibility import UNRESTRICTED
from serving.data.lists.definitions import TEAMS
from serving.data.lists.queries import TeamsQuery
from serving.data.lists.service import ListRequest, Lists
from serving.errors import CursorExpired
from serving.warehouses import Warehouses
from tests.serving.published_organisation import DATA_AS_OF, RUN, republish

TEAM_COUNT = 60
# In each publication, all teams have other names, one team is new, and one of the first ones is gone.
DIM_TEAM = """
CREATE TABLE marts_build.dim_team AS
SELECT
    'team-' || lpad(number::text, 3, '0') AS team_id,
    md5(number || ' in ' || {publication})::text AS name,
    NULL::text AS team_label, 'o'::text AS organisation_id, 'O'::text AS organisation_name,
    now() AS valid_from, now() AS recorded_at, true AS is_current, NULL::timestamptz AS archived_at,
    NULL::text AS successor_team_id
FROM generate_series({publication}, {team_count} + {publication}) AS number
"""


def publish(settings: Settings, publication: int) -> None:
    marts_build.prepare_build(settings.require("dsn_transform"), RUN)
    with connect(settings.require("dsn_transform")) as connection:
        connection.execute(DATA_AS_OF.encode())
        connection.execute(DIM_TEAM.format(publication=publication, team_count=TEAM_COUNT).encode())
    assert republish(settings).publication_id == publication


@pytest.fixture
def lists(fresh_database: Settings) -> Iterator[Lists]:
    with connect(fresh_database.require("dsn_loader")) as connection:
        connection.execute(
            "INSERT INTO raw.okr_user_events "
            "VALUES (0, 0, now(), gen_random_uuid(), 't', 's', 'k', now(), now(), false, '{}')"
        )
    publish(fresh_database, 1)
    warehouses = Warehouses.from_settings(fresh_database)
    warehouses.open()
    yield Lists(warehouses)
    warehouses.close()


def test_a_walk_over_publications_returns_each_lasting_row_once(lists: Lists, fresh_database: Settings) -> None:
    seen: list[str] = []
    publications: list[int] = []
    cursor = None
    for number in count(1):
        found = lists.page(ListRequest(TEAMS, TeamsQuery(limit=10, cursor=cursor), UNRESTRICTED))
        publications.append(found.publication.publication_id)
        seen += [row["team_id"] for row in found.value.rows]
        if (cursor := found.value.next_cursor) is None:
            break
        if number < 5:
            publish(fresh_database, number + 1)
    assert publications[:5] == [1, 2, 3, 4, 5]
    assert seen == sorted(set(seen)), "nothing is repeated"
    lasting = {f"team-{number:03}" for number in range(5, TEAM_COUNT + 2)}
    assert lasting <= set(seen), "nothing is lost"


def test_a_walk_in_another_order_says_that_it_must_start_again(lists: Lists, fresh_database: Settings) -> None:
    """A renamed team would be before or behind the cursor: it would be lost or repeated."""
    first = lists.page(ListRequest(TEAMS, TeamsQuery(limit=10, sort="-name"), UNRESTRICTED))
    second = ListRequest(TEAMS, TeamsQuery(limit=10, sort="-name", cursor=first.value.next_cursor), UNRESTRICTED)
    names = [row["name"] for row in (*first.value.rows, *lists.page(second).value.rows)]
    assert names == sorted(names, reverse=True)
    publish(fresh_database, 2)
    with pytest.raises(CursorExpired, match="belongs to publication 1, and the current one is 2"):
        lists.page(second)


def test_an_export_reads_one_publication_while_another_comes_in(lists: Lists, fresh_database: Settings) -> None:
    with lists.all_rows(ListRequest(TEAMS, TeamsQuery(), UNRESTRICTED)) as found:
        publish(fresh_database, 2)
        rows = [row for batch in found.value for row in batch]
    assert found.publication.publication_id == 1
    assert [row["team_id"] for row in rows] == [f"team-{number:03}" for number in range(1, TEAM_COUNT + 2)]
