"""Stories of endings, moves and simultaneous events; each has its own organisation in one log."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from ingestion.sources.okr_files.event_order import history_facts
from ingestion.sources.okr_files.row_validation import read_history
from lakehouse.contracts.cycle import CycleClosed
from lakehouse.contracts.key_result import KeyResultArchived
from lakehouse.contracts.objective import ObjectiveArchived
from lakehouse.contracts.page import PageViewed
from lakehouse.contracts.team import TeamArchived
from lakehouse.contracts.user import UserDeactivated, UserDefined
from lakehouse.ids import uuid7_of
from tests.dbt_project.next_cycle_stories import (
    carried,
    closed_then_carried_on,
    left_behind,
    planned,
    planned_and_closed,
)
from tests.dbt_project.organisation import AS_OF, START, Organisation, moment


def archived(log: Any) -> None:
    org = Organisation(log, "archived")
    for objective in ("kept", "given-up", "revived"):
        org.objective(objective)
    for number, objective in enumerate(("kept", "kept", "given-up", "revived", "kept", "kept"), start=1):
        org.key_result(f"k{number}", objective)
    org.check_in("k1", 8.0, moment(11, 10))
    org.check_in("k2", 0.5, moment(11, 10))
    org.check_in("k4", 8.0, moment(11, 10))
    log.add(KeyResultArchived(key_result_id=org("k2"), reason="entered by mistake"), moment(11, 20))
    log.add(ObjectiveArchived(objective_id=org("given-up"), reason="given up"), moment(11, 20))
    log.add(ObjectiveArchived(objective_id=org("revived")), moment(11, 12))
    org.objective("revived", at=moment(11, 15), title="revived by another title")
    org.check_in("k5", 8.0, moment(11, 10), is_final=True)
    log.add(KeyResultArchived(key_result_id=org("k5")), moment(11, 12))  # after its closing
    log.add(KeyResultArchived(key_result_id=org("k6")), moment(11, 12))
    org.check_in("k6", 8.0, moment(11, 14), is_final=True)  # closed after it was archived


def moved(log: Any) -> None:
    org = Organisation(log, "moved")
    org.objective("o1")
    org.key_result("k1", "o1", owner_user_id="moved-ada")
    for user_team, at in (("a", START), ("b", moment(11, 2, 8))):
        ada = UserDefined(user_id="moved-ada", name="Ada", email="moved@example.org", team_id=org(user_team))
        log.add(ada, at)
    for number, day in enumerate((6, 13, 20, 27)):
        org.check_in("k1", 0.6 + 0.7 * number, moment(10, day), user_id="moved-ada")
    org.objective("o1", team="b", at=moment(11, 2, 8))
    for number, day in enumerate((3, 10, 17, 24)):
        org.check_in("k1", 3.3 + 0.7 * number, moment(11, day), user_id="moved-ada")
    org.team("a", "renamed", at=moment(10, 20, 8))


def dissolved(log: Any) -> None:
    org = Organisation(log, "dissolved")
    for team in ("a", "b", "c"):
        org.team(team)
        org.objective(f"of-{team}", team=team)
        org.key_result(f"k-{team}", f"of-{team}")
    org.objective("past-of-a", "q3")
    org.key_result("past", "past-of-a")
    org.check_in("past", 8.0, moment(9, 30), is_final=True)
    log.add(TeamArchived(team_id=org("a"), successor_team_id=org("b")), moment(11, 1))
    log.add(TeamArchived(team_id=org("c")), moment(11, 1))
    log.add(UserDefined(user_id="gone", name="Gone", email="gone@example.org", team_id=org("a")), START)
    log.add(PageViewed(user_id="gone", page="home"), moment(11, 5))
    log.add(UserDeactivated(user_id="gone"), moment(11, 6))


def closed_cycle(log: Any) -> None:
    org = Organisation(log, "closed")
    org.objective("o3", "q3")
    for name in ("unclosed", "silent", "final", "corrected", "late"):
        org.key_result(name, "o3")
    org.check_in("unclosed", 8.0, moment(9, 20))
    org.check_in("final", 9.0, moment(9, 30), is_final=True)
    org.check_in("final", 1.0, moment(10, 2))  # after its closing, before the cycle's: changes nothing
    org.check_in("corrected", 2.0, moment(9, 30), is_final=True)
    org.check_in("late", 2.0, moment(9, 10))
    org.check_in("late", 8.0, moment(9, 20), log={"logged_at": moment(10, 20)})  # occurred earlier, logged later
    log.add(CycleClosed(cycle_id=org("q3")), moment(10, 10))
    org.check_in("corrected", 7.5, moment(10, 12))


def tied(log: Any) -> None:
    org = Organisation(log, "tied")
    org.objective("o1")
    for number in range(6):
        org.key_result(f"f{number}", "o1")
    tie = moment(10, 5)
    first = org.key_result("k1", "o1", tie, target=20.0)
    second = log.key_result(
        org("k1"), at=tie, objective_id=org("o1"), target=30.0, baseline=0.0, title="sent a second later"
    )
    # In another partition with a lower offset and a lower id: only the log time shows that it is later.
    for event, partition, offset, seconds, low in ((first, 0, 10**6, 1, "f"), (second, 3, 10**6 - 1, 2, "0")):
        place = {"partition": partition, "offset": offset, "logged_at": tie + timedelta(seconds=seconds)}
        identity = {"event_id": UUID(f"01a10b13-a800-7{low * 3}-8000-000000000000")}
        log.replace(event, **place, **identity)
    org.check_in("k1", 15.0, moment(11, 10))


def weighed(log: Any) -> None:
    org = Organisation(log, "weighed")
    org.objective("o1")
    for name, value in (("k1", 10.0), ("k2", 0.0)):
        org.key_result(name, "o1")
        org.check_in(name, value, moment(11, 10), is_final=True)
    log.without(org("k1"), "weight")
    org.objective("o-b", team="b")
    org.key_result("silent", "o-b")
    org.team("c", "weighed team b")


def imported(log: Any, folder: Path) -> None:
    """Add the story of cases/case-02: a CSV with one key result in two cycles, closed after the first one."""
    header = "key_result_id,organisation,team,owner_email,cycle,cycle_start,cycle_end,objective,key_result,unit"
    team = "imported-k1,imported,Payments,,"
    (folder / "key_results.csv").write_text(
        f"{header},baseline,target\n{team}q4,2026-10-01,2026-12-31,Be reliable,Raise the NPS further,points,18,30\n"
        f"{team}q3,2026-07-01,2026-09-30,Be reliable,Raise the NPS,points,10,20\n"
    )
    (folder / "check_ins.csv").write_text(
        "key_result_id,checked_in_at,value,confidence,note\nimported-k1,2026-08-03T09:00:00Z,14,0.6,\n"
        "imported-k1,2026-10-02T09:00:00Z,18,,final value\nimported-k1,2026-10-20T09:00:00Z,19,0.5,\n"
        "imported-k1,2026-11-20T09:00:00Z,21,0.5,\n"
    )
    rejected: list[Any] = []
    for at, fact in history_facts(read_history(folder, now=AS_OF, reject=rejected.append)):
        log.add(fact, at, logged_at=AS_OF - timedelta(hours=1), recorded_at=at, assumed=True)
    assert rejected == []


def sent_again(log: Any) -> None:
    """Send all newest definitions again, as a nightly full synchronisation does; this changes nothing."""
    night = moment(11, 23, 22)
    newest: dict[tuple[str, str], Any] = {}
    for event in sorted(log.events, key=lambda each: (each.occurred_at, each.logged_at, each.partition, each.offset)):
        if event.event_type.endswith(".defined.v1"):
            newest[event.event_type, event.subject] = event
    for event in newest.values():
        identity = uuid7_of(night, event.event_type, event.subject)
        times = {"occurred_at": night, "recorded_at": night, "logged_at": night}
        log.merge([replace(event, event_id=identity, **times)])


def tell_all(log: Any) -> None:
    """Append all stories, and an event that sets the time of the data."""
    stories = (
        archived,
        carried,
        planned,
        planned_and_closed,
        closed_then_carried_on,
        left_behind,
        moved,
        dissolved,
        closed_cycle,
        tied,
        weighed,
    )
    for story in (*stories, sent_again):
        story(log)
    log.add(PageViewed(user_id="moved-ada", page="home"), AS_OF - timedelta(minutes=1), logged_at=AS_OF)
