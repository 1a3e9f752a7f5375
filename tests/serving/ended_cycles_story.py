"""Events of key results that are archived, carried over or never closed, and of two teams with the same name."""

from datetime import UTC, date, datetime, timedelta

import msgspec

from ingestion.contract_validation import EncodedEvent, encode
from lakehouse.contracts.check_in import CheckInRecorded
from lakehouse.contracts.cycle import CycleDefined
from lakehouse.contracts.key_result import KeyResultArchived, KeyResultDefined
from lakehouse.contracts.objective import ObjectiveDefined
from lakehouse.contracts.organisation import OrganisationDefined
from lakehouse.contracts.team import TeamDefined
from tests.serving.published_organisation import AS_OF

Q3, Q4 = date(2026, 7, 1), date(2026, 10, 1)


def on(month: int, day: int) -> datetime:
    return datetime(2026, month, day, 9, tzinfo=UTC)


def event_of(data: msgspec.Struct, at: datetime) -> EncodedEvent:
    return encode(data, at=at, source="test", recorded_at=at)


def objective(objective_id: str, team_id: str, cycle_id: str, at: datetime) -> EncodedEvent:
    data = ObjectiveDefined(objective_id=objective_id, team_id=team_id, cycle_id=cycle_id, title="Win")
    return event_of(data, at)


def key_result(key_result_id: str, objective_id: str, at: datetime) -> EncodedEvent:
    data = KeyResultDefined(
        key_result_id=key_result_id, objective_id=objective_id, title=f"About {key_result_id}", unit="eur",
        baseline=0.0, target=99.999, direction="increase",
    )  # fmt: skip
    return event_of(data, at)


def check_in(key_result_id: str, at: datetime, value: float, *, is_final: bool = False) -> EncodedEvent:
    data = CheckInRecorded(
        check_in_id=f"{key_result_id}-{at:%m%d}", key_result_id=key_result_id, value=value, is_final=is_final
    )
    return event_of(data, at)


def story() -> list[EncodedEvent]:
    """Return events of two teams with one name, whose key results are carried over, archived or never closed."""
    started = on(6, 1)
    cycles = [
        CycleDefined(cycle_id=f"c-{name}", organisation_id="g", name=name, starts_on=first, ends_on=last)
        for name, first, last in (
            ("Q3", Q3, Q4 - timedelta(days=1)),
            ("Q4", Q4, date(2026, 12, 31)),
            ("Q1", date(2027, 1, 1), date(2027, 3, 31)),
        )
    ]
    teams = [TeamDefined(team_id=team_id, organisation_id="g", name="Payments") for team_id in ("t-1", "t-2")]
    silent = TeamDefined(team_id="t-3", organisation_id="g", name="Silent")
    defined = (OrganisationDefined(organisation_id="g", name="G"), *cycles, *teams, silent)
    return [
        *(event_of(data, started) for data in defined),
        objective("o-carried", "t-1", "c-Q3", on(6, 2)),
        key_result("carried", "o-carried", on(6, 3)),
        check_in("carried", on(8, 1), 40.0),
        check_in("carried", on(9, 29), 80.0, is_final=True),
        objective("o-carried", "t-1", "c-Q4", on(10, 2)),
        check_in("carried", on(10, 20), 5.0),
        objective("o-1", "t-1", "c-Q4", on(6, 2)),
        key_result("archived", "o-1", on(6, 3)),
        check_in("archived", on(10, 10), 1.0),
        event_of(KeyResultArchived(key_result_id="archived"), on(11, 2)),
        key_result("close", "o-1", on(6, 3)),
        check_in("close", on(10, 15), 99.996),
        objective("o-2", "t-2", "c-Q3", on(6, 2)),
        key_result("over", "o-2", on(6, 3)),
        check_in("over", on(9, 1), 99.996),
        objective("o-unclosed", "t-2", "c-Q3", on(6, 2)),
        key_result("unclosed", "o-unclosed", on(6, 3)),
        check_in("unclosed", on(8, 1), 40.0),
        objective("o-unclosed", "t-2", "c-Q4", on(10, 2)),
        objective("o-3", "t-3", "c-Q4", on(6, 2)),
        key_result("silent", "o-3", on(6, 3)),
        objective("o-4", "t-2", "c-Q4", on(6, 2)),
        key_result("second", "o-4", on(6, 3)),
        check_in("second", AS_OF - timedelta(days=3), 10.0),
        objective("o-next", "t-3", "c-Q1", on(6, 2)),
        key_result("next", "o-next", on(6, 3)),
    ]
