"""One organisation of a handwritten log, with two teams and two cycles; every id starts with its name."""

from datetime import UTC, date, datetime
from typing import Any

from lakehouse.contracts.cycle import CycleDefined
from lakehouse.contracts.objective import ObjectiveDefined
from lakehouse.contracts.organisation import OrganisationDefined
from lakehouse.contracts.team import TeamDefined

AS_OF = datetime(2026, 11, 24, 9, tzinfo=UTC)
Q3 = (date(2026, 7, 1), date(2026, 9, 30))
Q4 = (date(2026, 10, 1), date(2026, 12, 31))
START = datetime(2026, 7, 1, 8, tzinfo=UTC)


def moment(month: int, day: int, hour: int = 9) -> datetime:
    """Return a time in 2026, UTC."""
    return datetime(2026, month, day, hour, tzinfo=UTC)


class Organisation:
    """One organisation of the log: teams a and b, cycles q3 and q4; every id starts with its name."""

    def __init__(self, log: Any, name: str) -> None:
        self.log, self.name = log, name
        log.add(OrganisationDefined(organisation_id=name, name=f"Org {name}"), START)
        self.team("a")
        self.team("b")
        self.cycle("q3", *Q3)
        self.cycle("q4", *Q4)

    def __call__(self, short: str) -> str:
        return f"{self.name}-{short}"

    def team(self, team: str, name: str | None = None, at: datetime = START) -> None:
        name = name or f"{self.name} team {team}"
        self.log.add(TeamDefined(team_id=self(team), organisation_id=self.name, name=name), at)

    def cycle(self, cycle: str, start: date, end: date, at: datetime = START) -> None:
        defined = CycleDefined(
            cycle_id=self(cycle), organisation_id=self.name, name=self(cycle), starts_on=start, ends_on=end
        )
        self.log.add(defined, at)

    def objective(
        self, objective: str, cycle: str = "q4", team: str = "a", at: datetime = START, title: str | None = None
    ) -> None:
        title = title or f"{objective} of {team}"
        defined = ObjectiveDefined(objective_id=self(objective), team_id=self(team), cycle_id=self(cycle), title=title)
        self.log.add(defined, at)

    def key_result(self, key_result: str, objective: str, at: datetime = START, **fields: Any) -> Any:
        fields = {"baseline": 0.0, "target": 10.0} | fields
        return self.log.key_result(self(key_result), objective_id=self(objective), at=at, **fields)

    def check_in(self, key_result: str, value: float, at: datetime, **fields: Any) -> None:
        self.log.check_in(self(key_result), value, at, **fields)
