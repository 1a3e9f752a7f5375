"""Stories of key results that are carried over to the next cycle: planned early, closed late, or never closed."""

from typing import Any

from lakehouse.contracts.cycle import CycleClosed
from lakehouse.contracts.key_result import KeyResultArchived
from tests.dbt_project.organisation import Organisation, moment


def carried(log: Any) -> None:
    org = Organisation(log, "carried")
    org.objective("o3", "q3")
    org.objective("o4", "q4")
    org.key_result("k1", "o3")
    org.check_in("k1", 4.0, moment(8, 10), confidence=0.6)
    org.check_in("k1", 8.0, moment(10, 2), is_final=True)
    org.key_result("k1", "o4", moment(10, 3), baseline=8.0, target=20.0, title="carried over")
    org.check_in("k1", 9.0, moment(10, 20))
    org.check_in("k1", 14.0, moment(11, 20))
    # Never closed: over in the third quarter, open in the fourth. Planned for the third, and before that began for the
    # fourth instead: in the third it is nowhere.
    org.key_result("unclosed", "o3")
    org.check_in("unclosed", 5.0, moment(9, 1))
    org.key_result("unclosed", "o4", moment(10, 4))
    org.key_result("mistaken", "o3", moment(6, 20))
    org.key_result("mistaken", "o4", moment(6, 25))
    org.check_in("mistaken", 5.0, moment(8, 1))


def planned(log: Any) -> None:
    """Add key results that were carried over before their cycle ended, or closed after they were carried over."""
    org = Organisation(log, "planned")
    for objective, cycle in (("o3", "q3"), ("o4", "q4"), ("own", "q3")):
        org.objective(objective, cycle)
    further = {"baseline": 8.0, "target": 20.0}
    for name in ("early", "after", "closed", "twice", "too-late", "given-up"):
        org.key_result(name, "o3")
        org.check_in(name, 4.0, moment(8, 10))
    for name in ("early", "closed", "twice", "given-up"):
        org.key_result(name, "o4", moment(9, 25), **further)
    for name in ("after", "too-late"):
        org.key_result(name, "o4", moment(10, 5), **further)
    org.check_in("closed", 8.0, moment(9, 24), is_final=True)
    org.check_in("early", 8.0, moment(9, 27))  # it is still in the third quarter
    for name, value, at in (("early", 9.0, (10, 2)), ("twice", 9.0, (10, 2)), ("after", 8.5, (10, 6))):
        org.check_in(name, value, moment(*at), is_final=True)
    org.check_in("twice", 20.0, moment(10, 20), is_final=True)
    org.check_in("too-late", 20.0, moment(11, 15), is_final=True)
    for name in ("early", "after", "closed"):
        org.check_in(name, 14.0, moment(11, 20))
    log.add(KeyResultArchived(key_result_id=org("given-up")), moment(9, 28))
    # Its objective is carried over, not the key result.
    org.key_result("of-own", "own")
    org.objective("own", "q4", at=moment(9, 25))
    org.check_in("of-own", 9.0, moment(10, 2), is_final=True)


def planned_and_closed(log: Any) -> None:
    """Add a cycle that was closed after its key results had been carried over."""
    org = Organisation(log, "agreed")
    org.objective("o3", "q3")
    org.objective("o4", "q4")
    for name in ("silent", "reported"):
        org.key_result(name, "o3")
        org.check_in(name, 4.0, moment(8, 10))
        org.key_result(name, "o4", moment(9, 25))
    log.add(CycleClosed(cycle_id=org("q3")), moment(10, 5))
    org.check_in("reported", 8.0, moment(10, 6), is_final=True)


def closed_then_carried_on(log: Any) -> None:
    """Add a cycle that was closed before its key results were carried over; a check-in in between closes them there."""
    org = Organisation(log, "settled")
    org.objective("o3", "q3")
    org.objective("o4", "q4")
    for name in ("reported", "silent", "archived"):
        org.key_result(name, "o3")
        org.check_in(name, 4.0, moment(8, 10))
    log.add(KeyResultArchived(key_result_id=org("archived")), moment(9, 10))
    org.check_in("archived", 5.0, moment(9, 12), is_final=True)  # closes nothing
    org.key_result("archived", "o3", moment(9, 15), title="revived")
    log.add(CycleClosed(cycle_id=org("q3")), moment(10, 2))
    org.check_in("reported", 5.0, moment(10, 3))
    for name in ("reported", "silent", "archived"):
        org.key_result(name, "o4", moment(10, 5), target=20.0)
        org.check_in(name, 9.0, moment(10, 10), is_final=True)


def left_behind(log: Any) -> None:
    """Add events that belong to the previous cycle although they came later: a new target, a late check-in."""
    org = Organisation(log, "left")
    org.objective("o3", "q3")
    org.objective("o4", "q4")
    for name in ("retargeted", "heard-late"):
        org.key_result(name, "o3")
    org.check_in("retargeted", 7.0, moment(9, 20), is_final=True)
    org.key_result("retargeted", "o3", moment(9, 22), target=16.0)
    org.check_in("heard-late", 4.0, moment(9, 30), log={"logged_at": moment(10, 3)})
    for name in ("retargeted", "heard-late"):
        org.key_result(name, "o4", moment(10, 2), target=16.0)
    org.check_in("heard-late", 6.0, moment(10, 20))
