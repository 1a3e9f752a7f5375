"""What the API says that a check-in does to an outcome, and what the marts say once it is published."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from ingestion.events import EncodedEvent, encode
from lakehouse.contracts.check_in import CheckInRecorded
from lakehouse.contracts.cycle import CycleClosed, CycleDefined
from lakehouse.contracts.key_result import KeyResultArchived, KeyResultDefined
from lakehouse.contracts.objective import ObjectiveDefined
from lakehouse.contracts.organisation import OrganisationDefined
from lakehouse.contracts.team import TeamDefined
from lakehouse.settings import Settings
from lakehouse.warehouse import connect
from serving.check_ins.outcome import Effect, Sent, effect_on_outcome
from serving.check_ins.plausible import warnings
from serving.check_ins.store import Requests
from serving.published import Warehouse
from tests.serving.marts import publish

BEGUN = datetime(2026, 7, 1, 8, tzinfo=UTC)
CLOSED_AT = datetime(2026, 10, 5, 8, tzinfo=UTC)
NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)


def day(month: int, number: int) -> datetime:
    return datetime(2026, month, number, 9, tzinfo=UTC)


@dataclass(frozen=True)
class Case:
    """Check-ins of one key result (id, moment, value, is_final), the one that is sent then, and what it does."""

    name: str
    cycle: str
    before: tuple[tuple[str, datetime, float, bool], ...]
    sent: tuple[str, datetime, float, bool]
    effect: Effect | None
    final_value: float | None
    archived_at: datetime | None = None


CLOSING, LATER = ("a", day(9, 20), 8.0, True), ("b", day(9, 25), 6.0, False)
EARLIER = ("b", day(9, 5), 6.0, False)
THIS, OTHER, STAYS = Effect.BECOMES_THIS, Effect.BECOMES_OTHER, Effect.STAYS
CASES = [
    Case("late", "open", (CLOSING,), ("n", NOW, 9.0, False), STAYS, 8.0),
    Case("final-again", "open", (CLOSING,), ("n", NOW, 9.0, True), THIS, 9.0),
    Case("final-after-missed", "open", (("a", day(9, 20), 2.0, True),), ("n", NOW, 10.0, True), THIS, 10.0),
    Case("corrected", "open", (CLOSING, LATER), ("a", day(9, 20), 9.0, True), THIS, 9.0),
    Case("reopened", "open", (CLOSING, LATER), ("a", day(9, 20), 9.0, False), Effect.REOPENS, None),
    Case("corrected-other", "open", (CLOSING, LATER), ("b", day(9, 25), 7.0, False), STAYS, 8.0),
    Case("closed-earlier", "open", (CLOSING, EARLIER), ("b", day(9, 5), 7.0, True), STAYS, 8.0),
    Case("closed-later", "open", (CLOSING, LATER), ("b", day(9, 25), 7.0, True), THIS, 7.0),
    Case("falls-back", "open", (CLOSING, ("b", day(9, 25), 6.0, True)), ("b", day(9, 25), 6.0, False), OTHER, 8.0),
    Case("after-cycle", "shut", (LATER,), ("n", NOW, 9.0, False), THIS, 9.0),
    Case("after-cycle-unsaid", "shut", (), ("n", NOW, 9.0, False), THIS, 9.0),
    Case("cycle-latest", "shut", (LATER,), ("b", day(9, 25), 7.0, False), THIS, 7.0),
    Case("cycle-earlier", "shut", (("a", day(9, 1), 5.0, False), LATER), ("a", day(9, 1), 7.0, False), STAYS, 6.0),
    Case("cycle-no-more", "shut", (("a", day(9, 1), 5.0, True), LATER), ("a", day(9, 1), 5.0, False), OTHER, 6.0),
    Case("archived-since", "open", (CLOSING,), ("n", NOW, 9.0, True), STAYS, 8.0, archived_at=day(11, 1)),
    Case("not-closed", "open", (LATER,), ("n", NOW, 9.0, False), None, None),
]  # fmt: skip


def check_in(case: Case, told: tuple[str, datetime, float, bool]) -> EncodedEvent:
    name, at, value, is_final = told
    data = CheckInRecorded(check_in_id=f"{case.name}-{name}", key_result_id=case.name, value=value, is_final=is_final)
    return encode(data, at=at, source="test")


def story() -> list[EncodedEvent]:
    """One organisation whose third quarter is closed as a cycle ("shut") or is not ("open")."""
    told: list[tuple[Any, datetime]] = [
        (OrganisationDefined(organisation_id="o", name="O"), BEGUN),
        (TeamDefined(team_id="t", organisation_id="o", name="T"), BEGUN),
    ]
    for cycle in ("open", "shut"):
        span = {"starts_on": date(2026, 7, 1), "ends_on": date(2026, 9, 30)}
        told += [
            (CycleDefined(cycle_id=cycle, organisation_id="o", name=cycle, **span), BEGUN),
            (ObjectiveDefined(objective_id=cycle, team_id="t", cycle_id=cycle, title=cycle), BEGUN),
        ]
    for case in CASES:
        defined = KeyResultDefined(
            key_result_id=case.name, objective_id=case.cycle, title=case.name, unit="points", baseline=0.0, target=10.0,
            direction="increase",
        )  # fmt: skip
        told.append((defined, BEGUN))
    told.append((CycleClosed(cycle_id="shut"), CLOSED_AT))
    told += [(KeyResultArchived(key_result_id=case.name), case.archived_at) for case in CASES if case.archived_at]
    events = [encode(data, at=at, source="test") for data, at in told]
    return events + [check_in(case, each) for case in CASES for each in case.before]


@pytest.fixture(scope="module")
def told_and_published(new_database: Callable[[], AbstractContextManager[Settings]], dbt_target: Path) -> Any:
    """What the API says of each case by the first publication, and final values before and after the second one."""
    with new_database() as settings:
        publish(settings, story(), dbt_target)
        before = final_values(settings)
        warehouse = Warehouse(settings.require("dsn_serving"))
        warehouse.open()
        requests = Requests(warehouse)
        known = {
            case.name: requests.key_result(case.name, f"{case.name}-{case.sent[0]}", case.sent[1]) for case in CASES
        }
        warehouse.close()
        publish(settings, story() + [check_in(case, case.sent) for case in CASES], dbt_target)
        yield known, before, final_values(settings)


def final_values(settings: Settings) -> dict[str, Any]:
    with connect(settings.require("dsn_serving")) as connection:
        rows = connection.execute("SELECT key_result_id, final_value FROM marts.mart_okr_scorecard").fetchall()
    return {str(key_result_id): value for key_result_id, value in rows}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_is_said_of_an_outcome_is_what_the_marts_say_then(told_and_published: Any, case: Case) -> None:
    """A warning said that the outcome stays while a check-in after the cycle's closing made 0.8 to 0.9."""
    known, before, after = told_and_published
    name, at, value, is_final = case.sent
    sent = Sent(f"{case.name}-{name}", at, is_final)
    effect = effect_on_outcome(sent, known[case.name])
    assert (effect, after[case.name]) == (case.effect, case.final_value)
    match effect:
        case Effect.STAYS | None:
            assert after[case.name] == before[case.name]
        case Effect.REOPENS:
            assert before[case.name] is not None
        case _:
            assert after[case.name] != before[case.name]
    codes = [each.code for each in warnings(value, sent, known=known[case.name], key_result_id=case.name)]
    assert codes == [effect.value if effect else "cycle_is_over"]
