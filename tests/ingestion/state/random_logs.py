"""Random logs with corrections, endings, moves, duplicates and, mostly, two organisations."""

from datetime import date, timedelta

from hypothesis import strategies as st

from lakehouse.contracts.cycle import CycleClosed, CycleDefined
from lakehouse.contracts.key_result import KeyResultArchived
from lakehouse.contracts.objective import ObjectiveArchived, ObjectiveDefined
from lakehouse.contracts.team import TeamArchived, TeamDefined
from lakehouse.contracts.user import UserDeactivated, UserDefined
from tests.ingestion.state.events import LOGGED, STARTED, Row, check_in, key_result, placed

few = st.integers(0, 2)
organisations = st.sampled_from("gh")
objectives = st.sampled_from("op")
payloads = st.one_of(
    st.builds(
        lambda user, name, email, team: UserDefined(
            user_id=f"u{user}", name=f"n{name}", email=f"e{email}@x.org", team_id=f"t{team}" if team else None
        ),
        few, few, few, few,
    ),
    st.builds(
        lambda name, team, cycle: ObjectiveDefined(
            objective_id=name, team_id=f"t{team}", cycle_id=f"c{cycle}", title="t"
        ),
        objectives,
        few, few,
    ),
    st.builds(
        lambda cycle, organisation, last_day: CycleDefined(
            cycle_id=f"c{cycle}", organisation_id=organisation, name="c", starts_on=date(2026, 1, 1), ends_on=last_day
        ),
        few, organisations, st.sampled_from((STARTED.date() - timedelta(days=1), STARTED.date())),
    ),
    few.map(lambda cycle: CycleClosed(cycle_id=f"c{cycle}")),
    st.builds(lambda name, user: KeyResultArchived(key_result_id=f"kr{name}", user_id=f"u{user}"), few, few),
    st.builds(lambda name, user: ObjectiveArchived(objective_id=name, user_id=f"u{user}"), objectives, few),
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
# Two organisations, each with a team, a cycle, a user, an objective, a key result and a check-in.
TWO_ORGANISATIONS = [
    fact
    for number, organisation in enumerate("gh")
    for fact in (
        TeamDefined(team_id=f"t{number}", organisation_id=organisation, name="t"),
        CycleDefined(
            cycle_id=f"c{number}", organisation_id=organisation, name="c", starts_on=date(2026, 1, 1),
            ends_on=STARTED.date(),
        ),
        UserDefined(user_id=f"u{number}", name="n", email="e0@x.org", team_id=f"t{number}"),
        ObjectiveDefined(objective_id="op"[number], team_id=f"t{number}", cycle_id=f"c{number}", title="t"),
        key_result(100.0, name=f"kr{number}", owner=f"u{number}", objective="op"[number]),
        check_in(number, 1.0, of=f"kr{number}", user=f"u{number}"),
    )
]  # fmt: skip


@st.composite
def logs(draw: st.DrawFn) -> list[Row]:
    """Draw a log in order; some events are later duplicates of earlier ones."""
    drawn = draw(st.lists(st.tuples(st.integers(0, 3), payloads), min_size=2, max_size=14))
    if draw(st.integers(0, 3)):
        drawn = list(draw(st.permutations([*drawn, *((0, root) for root in TWO_ORGANISATIONS)])))
    log = [placed(minute, payload, offset) for offset, (minute, payload) in enumerate(drawn)]
    for number in draw(st.lists(st.integers(0, len(log) - 1), max_size=4)):
        place = {"kafka_offset": len(log), "logged_at": LOGGED.replace(minute=len(log))}
        log.append(log[number] | place)
    return log
