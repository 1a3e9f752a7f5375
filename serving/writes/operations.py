"""What apps may write: which event type, under which path, and whose entity it is about."""

from dataclasses import dataclass
from enum import StrEnum

from lakehouse.contracts import Contract, contract_of
from serving.auth.roles import Right

ORGANISATION = "okr.organisation.defined.v1"
TEAM = "okr.team.defined.v1"
USER = "okr.user.defined.v1"
CYCLE = "okr.cycle.defined.v1"
OBJECTIVE = "okr.objective.defined.v1"
KEY_RESULT = "okr.key_result.defined.v1"
CHECK_IN = "okr.check_in.recorded.v1"
COMMENT = "okr.comment.posted.v1"


class Kind(StrEnum):
    """How an event relates to earlier events of its entity."""

    DEFINITION = "definition"  # the full state; a later one replaces it
    ENDING = "ending"  # archives, closes or deactivates an entity
    RECORD = "record"  # a check-in or a comment, with an id of its own


@dataclass(frozen=True)
class Written:
    """An event type that apps may write. `noun` is the collection in paths, and `id_field` the entity's own id."""

    event_type: str
    noun: str
    kind: Kind
    id_field: str
    right: Right

    @property
    def contract(self) -> Contract:
        """Return the contract of the event."""
        return contract_of(self.event_type)

    @property
    def title(self) -> str:
        """Return the entity in words, e.g. `key result`."""
        return self.name.replace("_", " ")

    @property
    def name(self) -> str:
        """Return the entity's name in event types, e.g. `key_result`."""
        return self.event_type.split(".")[1]

    @property
    def article(self) -> str:
        """Return the indefinite article of the title."""
        return "an" if self.title[0] in "aeio" else "a"  # not of `user`


@dataclass(frozen=True)
class Ending(Written):
    """An event that ends an entity, under the path /v1/{noun}/{id}/{verb}. `ends` is the definition's event type."""

    verb: str
    ends: str


DEFINITIONS = (
    Written(USER, "users", Kind.DEFINITION, "user_id", Right.DEFINE),
    Written(TEAM, "teams", Kind.DEFINITION, "team_id", Right.DEFINE),
    Written(CYCLE, "cycles", Kind.DEFINITION, "cycle_id", Right.DEFINE),
    Written(OBJECTIVE, "objectives", Kind.DEFINITION, "objective_id", Right.DEFINE),
    Written(KEY_RESULT, "key-results", Kind.DEFINITION, "key_result_id", Right.DEFINE),
)
ENDINGS = (
    Ending("okr.user.deactivated.v1", "users", Kind.ENDING, "user_id", Right.DEFINE, "deactivation", USER),
    Ending("okr.team.archived.v1", "teams", Kind.ENDING, "team_id", Right.DEFINE, "archival", TEAM),
    Ending("okr.cycle.closed.v1", "cycles", Kind.ENDING, "cycle_id", Right.DEFINE, "closing", CYCLE),
    Ending("okr.objective.archived.v1", "objectives", Kind.ENDING, "objective_id", Right.DEFINE, "archival", OBJECTIVE),
    Ending(
        "okr.key_result.archived.v1", "key-results", Kind.ENDING, "key_result_id", Right.DEFINE, "archival", KEY_RESULT
    ),
)
COMMENTS = Written(COMMENT, "comments", Kind.RECORD, "comment_id", Right.RECORD)
CHECK_INS = Written(CHECK_IN, "check-ins", Kind.RECORD, "check_in_id", Right.RECORD)
BY_EVENT_TYPE: dict[str, Written] = {each.event_type: each for each in (*DEFINITIONS, *ENDINGS, COMMENTS, CHECK_INS)}

# The entity that a field of an event names. `user_id` of an event is the author, or the user whom it is about.
REFERENCES = {
    "organisation_id": ORGANISATION,
    "team_id": TEAM,
    "successor_team_id": TEAM,
    "cycle_id": CYCLE,
    "objective_id": OBJECTIVE,
    "parent_objective_id": OBJECTIVE,
    "key_result_id": KEY_RESULT,
    "user_id": USER,
    "owner_user_id": USER,
}
