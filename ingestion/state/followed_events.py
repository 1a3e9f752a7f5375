"""The event types that update the state tables, and the entities to which they refer."""

from collections.abc import Iterable

Entity = tuple[str, str]  # event type and entity id

USER = "okr.user.defined.v1"
DEACTIVATED = "okr.user.deactivated.v1"
USER_EVENTS = frozenset({USER, DEACTIVATED})  # their user_id is the user whom they describe, not a user who acted
ORGANISATION = "okr.organisation.defined.v1"
TEAM = "okr.team.defined.v1"
CYCLE = "okr.cycle.defined.v1"
OBJECTIVE = "okr.objective.defined.v1"
KEY_RESULT = "okr.key_result.defined.v1"
CHECK_IN = "okr.check_in.recorded.v1"
DEFINITIONS = frozenset({ORGANISATION, TEAM, CYCLE, USER, OBJECTIVE, KEY_RESULT})
# Event types that archive, close or deactivate an entity -> the event type that defines the entity.
ENDINGS = {
    "okr.team.archived.v1": TEAM,
    "okr.cycle.closed.v1": CYCLE,
    DEACTIVATED: USER,
    "okr.objective.archived.v1": OBJECTIVE,
    "okr.key_result.archived.v1": KEY_RESULT,
}
ROOTS = frozenset({TEAM, CYCLE})  # these name their organisation; all other entities depend on them
# The names of the query parameters for the ids of each type.
ID_PARAMETERS = {
    ORGANISATION: "organisations",
    TEAM: "teams",
    CYCLE: "cycles",
    USER: "users",
    OBJECTIVE: "objectives",
    KEY_RESULT: "key_results",
    CHECK_IN: "check_ins",
}
# Actions of users on entities. Because these events may be withheld, the activity of their users is not stored
# separately but read from the counted events.
ACTIONS = frozenset({CHECK_IN, "okr.cycle.closed.v1", "okr.objective.archived.v1", "okr.key_result.archived.v1"})
NO_STORED_ACTIVITY = USER_EVENTS | ACTIONS
PROJECTED = DEFINITIONS | ENDINGS.keys() | {CHECK_IN}


def ids_by_definition(entities: Iterable[Entity]) -> dict[str, list[str]]:
    """Group entity ids by the event type that defines (or records) the entity."""
    ids: dict[str, list[str]] = {each: [] for each in ID_PARAMETERS}
    for event_type, entity_id in entities:
        ids[ENDINGS.get(event_type, event_type)].append(entity_id)
    return ids
