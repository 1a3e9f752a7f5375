"""A property of the state tables: any order of the same events, in any batches and copies, gives the same rows."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import date, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lakehouse.contracts.cycle import CycleClosed, CycleDefined
from lakehouse.contracts.key_result import KeyResultArchived
from lakehouse.contracts.objective import ObjectiveArchived, ObjectiveDefined
from lakehouse.contracts.team import TeamArchived, TeamDefined
from lakehouse.contracts.user import UserDeactivated, UserDefined
from lakehouse.settings import Settings
from lakehouse.warehouse import connect
from tests.ingestion.state.events import BEGUN, LOGGED, Connection, Row, apply, check_in, key_result, placed

TABLES = ("users", "okrs", "key_result_cycles", "check_ins", "event", "newest_event", "user_activity", "refused_event")
SHOWN = (*TABLES, "objectives", "key_results", "teams", "cycles", "organisations")

few = st.integers(0, 2)
organisations = st.sampled_from("gh")
payloads = st.one_of(
    st.builds(
        lambda user, name, email, team: UserDefined(
            user_id=f"u{user}", name=f"n{name}", email=f"e{email}@x.org", team_id=f"t{team}" if team else None
        ),
        few, few, few, few,
    ),
    st.builds(
        lambda team, cycle: ObjectiveDefined(objective_id="o", team_id=f"t{team}", cycle_id=f"c{cycle}", title="t"),
        few, few,
    ),
    st.builds(
        lambda cycle, organisation, last_day: CycleDefined(
            cycle_id=f"c{cycle}", organisation_id=organisation, name="c", starts_on=date(2026, 1, 1), ends_on=last_day
        ),
        few, organisations, st.sampled_from((BEGUN.date() - timedelta(days=1), BEGUN.date())),
    ),
    few.map(lambda cycle: CycleClosed(cycle_id=f"c{cycle}")),
    st.builds(lambda name, user: KeyResultArchived(key_result_id=f"kr{name}", user_id=f"u{user}"), few, few),
    st.just(ObjectiveArchived(objective_id="o")),
    few.map(lambda user: UserDeactivated(user_id=f"u{user}")),
    st.builds(
        lambda team, organisation: TeamDefined(team_id=f"t{team}", organisation_id=organisation, name="t"),
        few, organisations,
    ),
    st.builds(lambda team, next_one: TeamArchived(team_id=f"t{team}", successor_team_id=f"t{next_one}"), few, few),
    st.builds(
        lambda name, target, owner: key_result(100.0 + target, name=f"kr{name}", owner=f"u{owner}"), few, few, few
    ),
    st.builds(
        lambda number, value, final, of, user, organisation: check_in(
            number, value, final=final, of=f"kr{of}", user=f"u{user}", organisation=organisation
        ),
        few, few, st.booleans(), few, few, st.none() | organisations,
    ),
)  # fmt: skip
# Two that have a team, a cycle and a user each.
TWO_ORGANISATIONS = [
    fact
    for number, organisation in enumerate("gh")
    for fact in (
        TeamDefined(team_id=f"t{number}", organisation_id=organisation, name="t"),
        CycleDefined(
            cycle_id=f"c{number}", organisation_id=organisation, name="c", starts_on=date(2026, 1, 1),
            ends_on=BEGUN.date(),
        ),
        UserDefined(user_id=f"u{number}", name="n", email="e0@x.org", team_id=f"t{number}"),
    )
]  # fmt: skip


@st.composite
def logs(draw: st.DrawFn) -> list[Row]:
    """Events of a log in its order; some of them are second copies, further on, of those before."""
    drawn = draw(st.lists(st.tuples(st.integers(0, 3), payloads), min_size=2, max_size=14))
    if draw(st.booleans()):
        drawn = list(draw(st.permutations([*drawn, *((0, root) for root in TWO_ORGANISATIONS)])))
    log = [placed(minute, payload, offset) for offset, (minute, payload) in enumerate(drawn)]
    for number in draw(st.lists(st.integers(0, len(log) - 1), max_size=4)):
        place = {"kafka_offset": len(log), "logged_at": LOGGED.replace(minute=len(log))}
        log.append(log[number] | place)
    return log


@pytest.fixture(scope="module")
def loader(new_database: Callable[[], AbstractContextManager[Settings]]) -> Iterator[Connection]:
    with new_database() as database, connect(database.require("dsn_loader"), autocommit=True) as connection:
        yield connection


def tables_after(loader: Connection, events: list[Row], batch: int) -> dict[str, list[tuple[object, ...]]]:
    """Apply events to empty tables and return what is in them."""
    for table in ("okrs", *TABLES, "consumer_offset"):
        loader.execute(f"DELETE FROM app.{table}".encode())
    position = 0
    for start in range(0, len(events), batch):
        position = apply(loader, events[start : start + batch], position)
    return {table: sorted(loader.execute(f"SELECT * FROM app.{table}".encode()), key=repr) for table in SHOWN}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(log=logs(), chance=st.randoms(use_true_random=False), batch=st.integers(1, 6))
def test_any_order_of_the_same_events_gives_the_same_tables(
    loader: Connection, log: list[Row], chance: "st.random.Random", batch: int
) -> None:
    in_order = tables_after(loader, log, len(log))
    shuffled = [*log, *chance.sample(log, len(log) // 2)]
    chance.shuffle(shuffled)
    assert tables_after(loader, shuffled, batch) == in_order
