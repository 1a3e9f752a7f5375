"""Draw the organisation with its teams and users, which depend only on the seed and the scale."""

from dataclasses import dataclass
from random import Random
from uuid import NAMESPACE_URL, uuid5

from ingestion.sources.simulator.latent_progress import SKILL_SD
from ingestion.sources.simulator.randomness import random_stream
from ingestion.sources.simulator.scale import Cycle, Scale
from ingestion.sources.simulator.vocabulary import (
    FIRST_NAMES,
    LAST_NAMES,
    TEAMS,
    UNUSUAL_PERSON_NAMES,
    UNUSUAL_TEAM_NAMES,
)

ON_LOAN = 0.03  # share of users who work in another team for one cycle


@dataclass(frozen=True)
class Team:
    """A team. `skill` is added to the drift of its key results; `misses` is the share of check-ins that it omits."""

    index: int
    id: str
    name: str
    skill: float
    misses: float
    check_in_day: int


@dataclass(frozen=True)
class User:
    """A user. `optimism` is added to the log-odds of their confidence; `views` is their mean page views per workday."""

    index: int
    id: str
    name: str
    email: str
    home_team: int
    optimism: float
    views: float


@dataclass(frozen=True)
class Organisation:
    """The parts of the organisation that do not change over time, and the seed for the parts that do."""

    seed: int
    scale: Scale
    id: str
    name: str
    teams: tuple[Team, ...]
    users: tuple[User, ...]

    def id_of(self, *key: object) -> str:
        """Return the UUID of the entity with this key, such as ("team", 3)."""
        return _id(self.seed, self.scale, *key)

    def rng(self, *key: object) -> Random:
        """Return the random stream of the entity with this key, such as ("team", 3)."""
        return random_stream(self.seed, self.scale.name, *key)

    def team_of(self, user: User, cycle: Cycle) -> Team:
        """Return the team of a user in a cycle: the home team, or any team if the user is on loan."""
        rng = self.rng("loan", user.index, cycle.name)
        away = rng.random() < ON_LOAN
        return self.teams[rng.randrange(len(self.teams)) if away else user.home_team]

    def members(self, team: Team) -> tuple[User, ...]:
        """Return the users whose home team this is. Every team has at least one."""
        return tuple(user for user in self.users if user.home_team == team.index)


def organisation(seed: int, scale: Scale) -> Organisation:
    """Draw an organisation."""
    teams = tuple(_team(seed, scale, index) for index in range(scale.teams))
    users = tuple(_user(seed, scale, index) for index in range(scale.users))
    return Organisation(seed, scale, _id(seed, scale, "organisation"), f"Example {scale.name} {seed}", teams, users)


def _team(seed: int, scale: Scale, index: int) -> Team:
    rng = random_stream(seed, scale.name, "team", index)
    lap, position = divmod(index, len(TEAMS))
    name = UNUSUAL_TEAM_NAMES.get(index) or TEAMS[position] + (f" {lap + 1}" if lap else "")
    return Team(
        index=index,
        id=_id(seed, scale, "team", index),
        name=name,
        skill=rng.gauss(0.0, SKILL_SD),
        misses=min(0.4, max(0.02, rng.gauss(0.15, 0.06))),
        check_in_day=rng.randrange(3, 6),
    )


def _user(seed: int, scale: Scale, index: int) -> User:
    rng = random_stream(seed, scale.name, "user", index)
    first, last = rng.choice(FIRST_NAMES), rng.choice(LAST_NAMES)
    unusual = UNUSUAL_PERSON_NAMES[index] if index < len(UNUSUAL_PERSON_NAMES) else None
    return User(
        index=index,
        id=_id(seed, scale, "user", index),
        name=unusual or f"{first} {last}",
        email=f"person.{index}@example.org" if unusual else f"{first}.{last}.{index}@example.org".lower(),
        home_team=index % scale.teams,
        optimism=rng.gauss(0.45, 0.35),
        views=scale.views_per_workday * rng.lognormvariate(-0.125, 0.5),
    )


def _id(seed: int, scale: Scale, *name: object) -> str:
    path = "/".join(map(str, name))
    return str(uuid5(NAMESPACE_URL, f"https://example.org/okr-simulation/{seed}/{scale.name}/{path}"))
