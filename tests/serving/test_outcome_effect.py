"""The API's warnings about the outcome of a key result agree with the next publication."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from ingestion.contract_validation import EncodedEvent, encode
from lakehouse.contracts.check_in import CheckInRecorded
from lakehouse.contracts.cycle import CycleClosed, CycleDefined
from lakehouse.contracts.key_result import KeyResultArchived, KeyResultDefined
from lakehouse.contracts.objective import ObjectiveArchived, ObjectiveDefined
from lakehouse.contracts.organisation import OrganisationDefined
from lakehouse.contracts.team import TeamArchived, TeamDefined
from lakehouse.settings import Settings
from lakehouse.warehouse import connect
from serving.auth.roles import Identity, Role
from serving.check_ins.check_in_warnings import warnings
from serving.check_ins.lookups import Lookups
from serving.check_ins.outcome_effect import Effect, Sent, effect_on_outcome
from serving.warehouses import Warehouses
from tests.serving.published_organisation import keep_state, publish

START = datetime(2026, 7, 1, 8, tzinfo=UTC)
CLOSED_AT = datetime(2026, 10, 5, 8, tzinfo=UTC)
NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)
APP = Identity("app", Role.SERVICE, None, None, (), frozenset(), "service", "token:test")


def day(month: int, number: int) -> datetime:
    return datetime(2026, month, number, 9, tzinfo=UTC)


@dataclass(frozen=True)
class Case:
    """Check-ins of one key result (id, time, value, is_final), the one that is sent next, and its effect."""

    name: str
    cycle: str
    before: tuple[tuple[str, datetime, float, bool], ...]
    sent: tuple[str, datetime, float, bool]
    effect: Effect | None
    final_value: float | None
    archived_at: datetime | None = None
    objective: str | None = None


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
    Case("objective-archived", "open", (CLOSING,), ("n", NOW, 9.0, True), STAYS, 8.0, objective="given-up"),
    Case("team-dissolved", "open", (CLOSING,), ("n", NOW, 9.0, True), STAYS, 8.0, objective="left"),
    Case("team-succeeded", "open", (CLOSING,), ("n", NOW, 9.0, True), THIS, 9.0, objective="handed-on"),
    Case("not-closed", "open", (LATER,), ("n", NOW, 9.0, False), None, None),
]  # fmt: skip


def check_in(of: str, recorded: tuple[str, datetime, float, bool]) -> EncodedEvent:
    name, at, value, is_final = recorded
    data = CheckInRecorded(check_in_id=f"{of}-{name}", key_result_id=of, value=value, is_final=is_final)
    return encode(data, at=at, source="test")


@dataclass(frozen=True)
class Carried:
    """A key result in several cycles: the check-in that is sent, warnings, and the final values that it makes."""

    name: str
    sent: tuple[str, datetime, float, bool]
    codes: list[str]
    final_values: dict[str, float]


PLAIN, FINAL = ("n", day(11, 15), 9.0, False), ("n", day(10, 2), 9.0, True)
CARRIED = [
    Carried("planned", PLAIN, [], {}),
    Carried("closed-late", FINAL, ["closes_cycle"], {"open": 9.0}),
    Carried("detour", ("n", day(10, 10), 9.0, True), ["closes_cycle"], {"other": 9.0}),  # not at once from the third
    Carried("given-up", ("n", day(10, 2), 505.0, True), ["archived"], {}),
    Carried("closed-and-given-up", ("n", day(11, 15), 509.0, True), ["closed"], {"q4": 508.0}),
    Carried("of-no-cycle", PLAIN, [], {"": 8.0}),
]


def carried() -> list[EncodedEvent]:
    """Key results of the third quarter that were carried over (all but two), from 0-10 to 500-510."""
    recorded: list[tuple[Any, datetime]] = []
    for cycle, start, end in (
        ("q4", date(2026, 10, 1), date(2026, 12, 31)), ("q1", date(2027, 1, 1), date(2027, 3, 31)),
        ("other", date(2026, 10, 1), date(2026, 12, 31)),
    ):  # fmt: skip
        recorded += [
            (CycleDefined(cycle_id=cycle, organisation_id="o", name=cycle, starts_on=start, ends_on=end), START),
            (ObjectiveDefined(objective_id=cycle, team_id="t", cycle_id=cycle, title=cycle), START),
        ]

    def define(name: str, objective: str, at: datetime, baseline: float = 0.0) -> None:
        defined = KeyResultDefined(
            key_result_id=name, objective_id=objective, title=name, unit="points", baseline=baseline,
            target=baseline + 10.0, direction="increase",
        )  # fmt: skip
        recorded.append((defined, at))

    define("planned", "q4", START)
    define("planned", "q1", day(11, 10), 500.0)
    for objective, at in (("open", START), ("q4", day(10, 5)), ("other", day(10, 8))):
        define("detour", objective, at)
    for name in ("closed-late", "given-up", "closed-and-given-up"):
        define(name, "open", START)
        define(name, "q4", day(9, 25), 500.0)
    recorded += [
        (KeyResultArchived(key_result_id="given-up"), datetime(2026, 10, 1, 12, tzinfo=UTC)),
        (KeyResultArchived(key_result_id="closed-and-given-up"), day(11, 12)),
    ]
    define("of-no-cycle", "unheard-of", START)
    define("of-no-cycle", "q4", day(10, 5))
    events = [encode(data, at=at, source="test") for data, at in recorded]
    closed = check_in("closed-and-given-up", ("a", day(11, 10), 508.0, True))
    return [*events, closed, check_in("of-no-cycle", ("a", day(8, 1), 8.0, True))]


def story() -> list[EncodedEvent]:
    """One organisation whose third quarter is closed as a cycle ("shut") or is not ("open")."""
    recorded: list[tuple[Any, datetime]] = [
        (OrganisationDefined(organisation_id="o", name="O"), START),
        *((TeamDefined(team_id=team, organisation_id="o", name=team), START) for team in ("t", "gone", "merged")),
    ]
    for cycle in ("open", "shut"):
        span = {"starts_on": date(2026, 7, 1), "ends_on": date(2026, 9, 30)}
        recorded += [
            (CycleDefined(cycle_id=cycle, organisation_id="o", name=cycle, **span), START),
            (ObjectiveDefined(objective_id=cycle, team_id="t", cycle_id=cycle, title=cycle), START),
        ]
    for objective, team in (("given-up", "t"), ("left", "gone"), ("handed-on", "merged")):
        held_by = ObjectiveDefined(objective_id=objective, team_id=team, cycle_id="open", title=objective)
        recorded.append((held_by, START))
    for case in CASES:
        defined = KeyResultDefined(
            key_result_id=case.name, objective_id=case.objective or case.cycle, title=case.name, unit="points",
            baseline=0.0, target=10.0, direction="increase",
        )  # fmt: skip
        recorded.append((defined, START))
    recorded += [
        (CycleClosed(cycle_id="shut"), CLOSED_AT),
        (ObjectiveArchived(objective_id="given-up"), day(11, 1)),
        (TeamArchived(team_id="gone"), day(11, 1)),
        (TeamArchived(team_id="merged", successor_team_id="t"), day(11, 1)),
    ]
    recorded += [(KeyResultArchived(key_result_id=case.name), case.archived_at) for case in CASES if case.archived_at]
    events = [encode(data, at=at, source="test") for data, at in recorded]
    return events + carried() + [check_in(case.name, each) for case in CASES for each in case.before]


@pytest.fixture(scope="module")
def told_and_published(new_database: Callable[[], AbstractContextManager[Settings]], dbt_target: Path) -> Any:
    """What the API says about each case after the first publication; final values before and after the second."""
    with new_database() as settings:
        publish(settings, story(), dbt_target)
        keep_state(settings, story())
        before = final_values(settings)
        warehouses = Warehouses.from_settings(settings)
        warehouses.open()
        lookups = Lookups(warehouses)
        known = {case.name: lookups.key_result(case.name, sent(case), APP) for case in (*CASES, *CARRIED)}
        warehouses.close()
        publish(settings, story() + [check_in(case.name, case.sent) for case in (*CASES, *CARRIED)], dbt_target)
        yield known, before, final_values(settings)


def sent(case: Case | Carried) -> Sent:
    name, at, _, is_final = case.sent
    return Sent(f"{case.name}-{name}", at, is_final)


def final_values(settings: Settings) -> dict[str, dict[str, Any]]:
    """Return the final values of each key result by cycle, null where it is open."""
    query = "SELECT key_result_id, coalesce(cycle_id, ''), final_value FROM marts.mart_okr_scorecard"
    found: dict[str, dict[str, Any]] = {}
    with connect(settings.require("dsn_serving")) as connection:
        for key_result_id, cycle_id, value in connection.execute(query):
            found.setdefault(str(key_result_id), {})[str(cycle_id)] = value
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_warning_about_the_outcome_agrees_with_the_next_publication(told_and_published: Any, case: Case) -> None:
    """A warning said that the outcome does not change, but a check-in after the cycle's closing changed 0.8 to 0.9."""
    known, before, after = told_and_published
    effect = effect_on_outcome(sent(case), known[case.name])
    assert (effect, after[case.name]) == (case.effect, {case.cycle: case.final_value})
    match effect:
        case Effect.STAYS | None:
            assert after[case.name] == before[case.name]
        case Effect.REOPENS:
            assert before[case.name] != {case.cycle: None}
        case _:
            assert after[case.name] != before[case.name]
    assert codes(case, known) == [effect.value if effect else "cycle_is_over"]


def codes(case: Case | Carried, known: Any) -> list[str]:
    found = warnings(case.sent[2], sent(case), known=known[case.name], key_result_id=case.name)
    return [each.code for each in found]


@pytest.mark.parametrize("case", CARRIED, ids=lambda case: case.name)
def test_a_warning_names_the_cycle_in_which_the_check_in_counts_and_uses_its_target(
    told_and_published: Any, case: Carried
) -> None:
    """A key result that moves to a later cycle was compared with its next target; an archived one was called closed."""
    known, _, after = told_and_published
    assert codes(case, known) == case.codes
    if "closes_cycle" in case.codes:
        assert [known[case.name]["closes_cycle_id"]] == list(case.final_values)
    assert {cycle: value for cycle, value in after[case.name].items() if value is not None} == case.final_values
