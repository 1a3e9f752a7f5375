"""What the state tables follow: the types of events, and which of them are about one entity."""

from collections.abc import Iterable

Entity = tuple[str, str]  # the type of an event of it, and its id

USER = "okr.user.defined.v1"
DEACTIVATED = "okr.user.deactivated.v1"
ABOUT_A_USER = frozenset({USER, DEACTIVATED})  # who is named there did not do it
ORGANISATION = "okr.organisation.defined.v1"
TEAM = "okr.team.defined.v1"
CYCLE = "okr.cycle.defined.v1"
OBJECTIVE = "okr.objective.defined.v1"
KEY_RESULT = "okr.key_result.defined.v1"
CHECK_IN = "okr.check_in.recorded.v1"
DEFINITIONS = frozenset({ORGANISATION, TEAM, CYCLE, USER, OBJECTIVE, KEY_RESULT})
# What archives, closes or deactivates -> the definition of the same noun.
ENDINGS = {
    "okr.team.archived.v1": TEAM,
    "okr.cycle.closed.v1": CYCLE,
    DEACTIVATED: USER,
    "okr.objective.archived.v1": OBJECTIVE,
    "okr.key_result.archived.v1": KEY_RESULT,
}
ROOTS = frozenset({TEAM, CYCLE})  # they say their organisation, all else stands on them
# What the queries call the ids of each.
NAMES = {
    ORGANISATION: "organisations",
    TEAM: "teams",
    CYCLE: "cycles",
    USER: "users",
    OBJECTIVE: "objectives",
    KEY_RESULT: "key_results",
    CHECK_IN: "check_ins",
}
# What people do to an entity; it may be withheld, so that their activity is not kept, but asked of what counts.
DEEDS = frozenset({CHECK_IN, "okr.cycle.closed.v1", "okr.objective.archived.v1", "okr.key_result.archived.v1"})
NO_ACTIVITY = ABOUT_A_USER | DEEDS
FOLLOWED = DEFINITIONS | ENDINGS.keys() | {CHECK_IN}


def ids_by_definition(entities: Iterable[Entity]) -> dict[str, list[str]]:
    """Return the ids by the event type that defines (or records) their noun."""
    ids: dict[str, list[str]] = {each: [] for each in NAMES}
    for event_type, entity_id in entities:
        ids[ENDINGS.get(event_type, event_type)].append(entity_id)
    return ids
