"""Yield the facts that define the organisation: teams, users, cycles, objectives and key results."""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta

from ingestion.sources.simulator.facts import Fact, immediate_fact
from ingestion.sources.simulator.okrs import KeyResult, Objective
from ingestion.sources.simulator.scale import Cycle
from ingestion.sources.simulator.teams_and_users import Organisation, User
from lakehouse.contracts.cycle import CycleDefined
from lakehouse.contracts.key_result import KeyResultDefined
from lakehouse.contracts.objective import ObjectiveDefined
from lakehouse.contracts.organisation import OrganisationDefined
from lakehouse.contracts.team import TeamDefined
from lakehouse.contracts.user import UserDefined

DAYS_BEFORE = 30  # days from the definition of the organisation to its first cycle
CYCLE_DAYS_BEFORE = 20  # days from the definition of a cycle to its start


def founding_facts(organisation: Organisation, first: Cycle) -> Iterator[Fact]:
    """Yield the definitions of the organisation, its teams and its users, in this order."""
    at = datetime.combine(first.start - timedelta(days=DAYS_BEFORE), time(9), tzinfo=UTC)
    rng = organisation.rng("founding")
    data = OrganisationDefined(organisation_id=organisation.id, name=organisation.name)
    yield immediate_fact(rng, f"{organisation.id}/{first.name}", at, data)
    for team in organisation.teams:
        at += timedelta(seconds=10)
        team_data = TeamDefined(team_id=team.id, organisation_id=organisation.id, name=team.name)
        yield immediate_fact(rng, f"{team.id}/{first.name}", at, team_data)
    for user in organisation.users:
        at += timedelta(seconds=10)
        yield _user_fact(organisation, user, organisation.teams[user.home_team].id, at, f"founding {first.name}")


def cycle_facts(
    organisation: Organisation, cycle: Cycle, objectives: list[Objective], key_results: list[KeyResult]
) -> Iterator[Fact]:
    """Yield the definitions of a cycle, its objectives and its key results, new targets, and users' temporary moves."""
    rng = organisation.rng("structure", cycle.name)
    announced = datetime.combine(cycle.start - timedelta(days=CYCLE_DAYS_BEFORE), time(9), tzinfo=UTC)
    cycle_id = organisation.id_of("cycle", cycle.name)
    data = CycleDefined(
        cycle_id=cycle_id,
        organisation_id=organisation.id,
        name=cycle.name,
        starts_on=cycle.start,
        ends_on=cycle.end,
    )
    yield immediate_fact(rng, cycle_id, announced, data)
    for objective in objectives:
        yield immediate_fact(rng, objective.id, objective.defined_at, _objective_data(objective, cycle_id))
    for key_result in key_results:
        first_state = key_result_data(key_result, key_result.target)
        yield immediate_fact(rng, f"{key_result.id}/0", key_result.defined_at, first_state)
        if key_result.retarget is not None:
            at, target = key_result.retarget
            yield immediate_fact(rng, f"{key_result.id}/1", at, key_result_data(key_result, target))
    yield from _temporary_moves(organisation, cycle)


def key_result_data(key_result: KeyResult, target: float) -> KeyResultDefined:
    """Return the definition of a key result with the given target."""
    return KeyResultDefined(
        key_result_id=key_result.id,
        objective_id=key_result.objective.id,
        title=key_result.title(target),
        unit=key_result.measure.unit,
        baseline=key_result.baseline,
        target=target,
        direction="increase" if target > key_result.baseline else "decrease",
        weight=key_result.weight,
        owner_user_id=key_result.owner.id,
    )


def _objective_data(objective: Objective, cycle_id: str) -> ObjectiveDefined:
    return ObjectiveDefined(
        objective_id=objective.id,
        team_id=objective.team.id,
        cycle_id=cycle_id,
        title=objective.title,
        parent_objective_id=objective.parent_id,
        owner_user_id=objective.owner.id,
    )


def _temporary_moves(organisation: Organisation, cycle: Cycle) -> Iterator[Fact]:
    """Yield the moves of some users to another team at the start of the cycle, and back at its end."""
    out = datetime.combine(cycle.start, time(6), tzinfo=UTC)
    back = datetime.combine(cycle.end, time(20), tzinfo=UTC)
    for user in organisation.users:
        team = organisation.team_of(user, cycle)
        if team.index != user.home_team:
            yield _user_fact(organisation, user, team.id, out, f"out {cycle.name}")
            yield _user_fact(organisation, user, organisation.teams[user.home_team].id, back, f"back {cycle.name}")


def _user_fact(organisation: Organisation, user: User, team_id: str, at: datetime, event_name: str) -> Fact:
    data = UserDefined(user_id=user.id, name=user.name, email=user.email, team_id=team_id)
    return immediate_fact(organisation.rng("user fact", user.index, event_name), f"{user.id}/{event_name}", at, data)
