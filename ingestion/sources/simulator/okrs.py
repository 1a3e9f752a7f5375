"""Draw the OKRs of a cycle: objectives, most of them aligned with the leadership's, and key results with progress."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from ingestion.sources.simulator.latent_progress import CYCLE_SD, DIFFICULTY_SD, DRIFT, Process, draw
from ingestion.sources.simulator.randomness import working_moment
from ingestion.sources.simulator.scale import Cycle
from ingestion.sources.simulator.teams_and_users import Organisation, Team, User
from ingestion.sources.simulator.vocabulary import MEASURES, OBJECTIVES, Measure
from lakehouse.achieved_score import ACHIEVED_SCORE

RETARGETED = 0.04  # share of key results that get a new target during the cycle
ALIGNED = 0.85  # share of the other teams' objectives that have a parent objective of the leadership


@dataclass(frozen=True)
class Objective:
    """An objective of a team in a cycle."""

    id: str
    team: Team
    cycle: Cycle
    title: str
    parent_id: str | None
    owner: User
    defined_at: datetime


@dataclass(frozen=True)
class KeyResult:
    """A key result with its latent progress. `retarget` is the time and value of a new target, if any."""

    id: str
    objective: Objective
    measure: Measure
    owner: User
    baseline: float
    target: float
    weight: float
    defined_at: datetime
    process: Process
    retarget: tuple[datetime, float] | None

    def title(self, target: float) -> str:
        """Return the title of the key result, which contains the given target."""
        return self.measure.title.format(f"{target:,.{self.measure.decimals}f}")

    def value(self, progress: float) -> float:
        """Return the value at a given progress, rounded to the measure's decimals."""
        return round(self.baseline + progress * (self.target - self.baseline), self.measure.decimals)

    def threshold(self, at: datetime) -> float:
        """Return the progress that counts as achieved under the target in force at the given time.

        The progress is relative to the first target.
        """
        if self.retarget is None or at < self.retarget[0]:
            return ACHIEVED_SCORE
        return ACHIEVED_SCORE * (self.retarget[1] - self.baseline) / (self.target - self.baseline)


def draw_okrs(organisation: Organisation, cycle: Cycle) -> tuple[list[Objective], list[KeyResult]]:
    """Draw all objectives and key results of a cycle, starting with the leadership's."""
    objectives: list[Objective] = []
    key_results: list[KeyResult] = []
    effect = organisation.rng("cycle", cycle.name).gauss(0.0, CYCLE_SD)
    parents: list[Objective] = []
    for team in organisation.teams:
        team_objectives = list(_objectives(organisation, cycle, team, parents))
        parents = parents or team_objectives
        objectives += team_objectives
        key_results += _key_results(organisation, team, team_objectives, effect)
    return objectives, key_results


def _objectives(organisation: Organisation, cycle: Cycle, team: Team, parents: list[Objective]) -> Iterator[Objective]:
    rng = organisation.rng("objectives", cycle.name, team.index)
    members = organisation.members(team)
    days_before = 12 if parents else 16  # the leadership defines its objectives first
    for number, title in enumerate(rng.sample(OBJECTIVES, rng.randint(2, 4))):
        is_aligned = bool(parents) and rng.random() < ALIGNED
        yield Objective(
            id=organisation.id_of("objective", cycle.name, team.index, number),
            team=team,
            cycle=cycle,
            title=title,
            parent_id=rng.choice(parents).id if is_aligned else None,
            owner=rng.choice(members),
            defined_at=working_moment(rng, cycle.start - timedelta(days=days_before + rng.randint(0, 3))),
        )


def _key_results(
    organisation: Organisation, team: Team, objectives: list[Objective], effect: float
) -> Iterator[KeyResult]:
    members = organisation.members(team)
    rng = organisation.rng("measures", objectives[0].id)
    measures = iter(rng.sample(MEASURES, len(MEASURES)))
    for objective in objectives:
        for number in range(rng.choices((2, 3, 4), (1, 2, 2))[0]):
            key_result_id = organisation.id_of("key_result", objective.id, number)
            own_rng = organisation.rng("key_result", key_result_id)
            drift = DRIFT + team.skill + effect - own_rng.gauss(0.0, DIFFICULTY_SD)
            owner = own_rng.choice(members)
            yield _key_result(own_rng, objective, next(measures), key_result_id=key_result_id, owner=owner, drift=drift)


def _key_result(  # noqa: PLR0913 - the inputs of the draw
    rng: Random, objective: Objective, measure: Measure, *, key_result_id: str, owner: User, drift: float
) -> KeyResult:
    cycle = objective.cycle
    baseline = round(rng.uniform(*measure.baseline), measure.decimals)
    gain = abs(baseline) * rng.uniform(*measure.gain) * (1 if measure.rises else -1)
    defined_on = cycle.start + timedelta(days=rng.choices(range(-10, 3), [3] * 10 + [1] * 3)[0])
    retarget = None
    if rng.random() < RETARGETED:
        moment = working_moment(rng, cycle.start + timedelta(days=round(cycle.days * rng.uniform(0.3, 0.6))))
        retarget = moment, round(baseline + gain * rng.choice((0.75, 0.85, 1.2, 1.35)), measure.decimals)
    return KeyResult(
        id=key_result_id,
        objective=objective,
        measure=measure,
        owner=owner,
        baseline=baseline,
        target=round(baseline + gain, measure.decimals),
        weight=rng.choice((0.5, 1.0, 1.0, 1.0, 2.0)),
        defined_at=working_moment(rng, defined_on),
        process=draw(rng, drift, cycle.days),
        retarget=retarget,
    )
