"""What apps may write: the event types, their paths, and the entities that they are about."""

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
    RECORD = "record"  # a check-in or a comment, each with its own id


@dataclass(frozen=True)
class Writable:
    """An event type that apps may write. `collection` is the plural in paths, `id_field` the entity's id field."""

    event_type: str
    collection: str
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
        return "an" if self.title[0] in "aeio" else "a"  # without u, because it is "a user"


@dataclass(frozen=True)
class Ending(Writable):
    """An event that ends an entity, at the path /v1/{collection}/{id}/{verb}. `ends` is the definition's event type."""

    verb: str
    ends: str


DEFINITIONS = (
    Writable(USER, "users", Kind.DEFINITION, "user_id", Right.DEFINE),
    Writable(TEAM, "teams", Kind.DEFINITION, "team_id", Right.DEFINE),
    Writable(CYCLE, "cycles", Kind.DEFINITION, "cycle_id", Right.DEFINE),
    Writable(OBJECTIVE, "objectives", Kind.DEFINITION, "objective_id", Right.DEFINE),
    Writable(KEY_RESULT, "key-results", Kind.DEFINITION, "key_result_id", Right.DEFINE),
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
COMMENTS = Writable(COMMENT, "comments", Kind.RECORD, "comment_id", Right.RECORD)
CHECK_INS = Writable(CHECK_IN, "check-ins", Kind.RECORD, "check_in_id", Right.RECORD)
BY_EVENT_TYPE: dict[str, Writable] = {each.event_type: each for each in (*DEFINITIONS, *ENDINGS, COMMENTS, CHECK_INS)}

# The type of the entity that a field of an event refers to. `user_id` is the author, or the user whom the event is
# about.
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
    "reply_to_comment_id": COMMENT,
}
