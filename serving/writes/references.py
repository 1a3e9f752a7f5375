"""Check that the entities that events refer to exist, and that the caller may see and change them.

A reference is looked up among the events of the request itself, the accepted requests and the state tables, which are
newer than the marts. An entity of another organisation does not exist for the caller (serving/auth/visibility.py).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from lakehouse.errors import ContractViolation, RetryableError
from serving.auth.roles import Identity
from serving.auth.visibility import OF_THE_ORGANISATION, parameters, sees_personal_fields
from serving.data.similar_ids import similar_ids
from serving.errors import NotAllowed, NotFound, NotPublished, UnknownName
from serving.publication_reader import Connection
from serving.warehouses import Warehouses
from serving.writes.items import Item
from serving.writes.operations import (
    CHECK_INS,
    COMMENT,
    CYCLE,
    KEY_RESULT,
    OBJECTIVE,
    ORGANISATION,
    REFERENCES,
    TEAM,
    USER,
    Kind,
)
from serving.writes.store import Entity, WriteStore

ENTITY_TYPES = {
    TEAM: "team", CYCLE: "cycle", ORGANISATION: "organisation", OBJECTIVE: "objective", KEY_RESULT: "key_result",
    USER: "user", COMMENT: "comment",
}  # fmt: skip
# The field that names the entity that determines an entity's team and organisation, and the type of that entity.
PARENTS = {
    COMMENT: ("key_result_id", KEY_RESULT), KEY_RESULT: ("objective_id", OBJECTIVE), OBJECTIVE: ("team_id", TEAM),
    USER: ("team_id", TEAM),
}  # fmt: skip


@dataclass
class Known:
    """The newest definitions of entities, by event type and id, and their versions as stored."""

    store: WriteStore
    definitions: dict[Entity, Mapping[str, Any]] = field(default_factory=dict)
    versions: dict[Entity, UUID] = field(default_factory=dict)
    connection: Connection | None = None

    def fetch(self, entities: Sequence[Entity]) -> None:
        """Look up entities, and those that determine their teams and organisations."""
        wanted = [entity for entity in entities if entity not in self.definitions]
        while wanted:
            found = (
                self.store.newest_versions(self.connection, wanted) if self.connection else self.store.versions(wanted)
            )
            self.definitions |= {entity: version.data for entity, version in found.items()}
            self.versions |= {entity: version.event_id for entity, version in found.items()}
            parents = (self._parent(entity) for entity in found)
            wanted = [parent for parent in parents if parent is not None and parent not in self.definitions]

    def owner(self, entity: Entity) -> "Owner":
        """Return the team and the organisation of an entity; each is None if it is not known."""
        event_type, entity_id = entity
        data = self.definitions.get(entity, {})
        if event_type == ORGANISATION:
            return Owner(None, entity_id)
        if event_type in (TEAM, CYCLE):
            return Owner(entity_id if event_type == TEAM else None, data.get("organisation_id"))
        parent = self._parent(entity)
        return Owner(None, None) if parent is None else self.owner(parent)

    def _parent(self, entity: Entity) -> Entity | None:
        if entity[0] not in PARENTS:
            return None
        name, event_type = PARENTS[entity[0]]
        parent_id = self.definitions.get(entity, {}).get(name)
        return None if parent_id is None else (event_type, parent_id)


@dataclass(frozen=True)
class Owner:
    """The team and organisation of an entity."""

    team_id: str | None
    organisation_id: str | None


class References:
    """Checks the entities that events refer to."""

    def __init__(self, store: WriteStore, warehouses: Warehouses) -> None:
        self._store = store
        self._warehouses = warehouses

    @classmethod
    def from_warehouses(cls, warehouses: Warehouses) -> "References":
        """Return the checks. They read the definitions of all organisations, to find the owner of an id."""
        return cls(WriteStore(warehouses.installation, warehouses.personal_fields), warehouses)

    def check(
        self, items: Sequence[Item], identity: Identity, *, allow_unknown: bool, connection: Connection | None = None
    ) -> dict[Entity, UUID]:
        """Check every event of a request. Return the versions of those entities of the request that already exist.

        Each event is checked against the definitions as of this event. If the request defines an entity several times,
        every version must belong to the caller's teams, because the events in between are attributed to these teams.
        With a connection, the definitions are read in its transaction, which may hold the locks of the entities.

        Raises:
            UnknownName: an event refers to an unknown entity, and `allow_unknown` is false.
            NotFound: the entity of an ending is unknown.
            NotAllowed: the caller may not change the entity.
            ContractViolation: the entity would not belong to a team of the caller's organisation.
        """
        if allow_unknown and identity.organisation_id is not None:
            raise NotAllowed("Only accounts of the whole installation may refer to entities that are not defined yet.")
        known = Known(self._store, connection=connection)
        teams = _teams_of(identity, known)
        known.fetch([reference for item in items for _, reference in _references(item)])
        known.fetch([item.entity for item in items if item.is_definition])
        earlier = {item.entity: known.owner(item.entity) for item in items if item.entity in known.definitions}
        versions = {item.entity: known.versions[item.entity] for item in items if item.entity in known.versions}
        for item in reversed(items):  # an event may refer to an entity that only a later one defines
            if item.has_version and item.entity not in earlier:
                known.definitions[item.entity] = item.data
        known.fetch([parent for item in items for _, parent in _references(item)])
        for item in items:
            if item.has_version:
                known.definitions[item.entity] = item.data
            if not allow_unknown:
                self._check_known(item, known, identity)
            if item.entity in earlier:
                _check_earlier(item, earlier[item.entity], identity, teams)
            _check_change(item, known.owner(_owning_entity(item)), identity, teams)
        return versions

    def check_recording(self, key_result_id: str, identity: Identity) -> None:
        """Check that the caller may check in on a key result.

        Raises:
            UnknownName: the caller may not see the key result, or it is unknown.
            NotAllowed: it belongs to a team for which the caller may not write.
        """
        if identity.organisation_id is None and identity.role in OF_THE_ORGANISATION:
            return  # nothing is restricted, so the key result may also be unknown
        self.check([Item(CHECK_INS, "", {"key_result_id": key_result_id}, "#")], identity, allow_unknown=False)

    def is_key_result_visible(self, key_result_id: str, identity: Identity) -> bool:
        """Return whether the caller may see a key result."""
        return identity.organisation_id is None or self.is_visible((KEY_RESULT, key_result_id), identity)

    def is_visible(self, entity: Entity, identity: Identity) -> bool:
        """Return whether the caller may see an entity."""
        known = Known(self._store)
        known.fetch([entity])
        return identity.organisation_id in (None, known.owner(entity).organisation_id)

    def check_reads_definition(self, entity: Entity, identity: Identity) -> None:
        """Check that the caller may read the definition of an entity that it may see.

        Raises:
            NotAllowed: the definition contains the e-mail address of a user whom the caller may not change.
        """
        known = Known(self._store)
        known.fetch([entity])
        teams = _teams_of(identity, known)
        if entity[0] == USER and not sees_personal_fields(identity, known.owner(entity).team_id, teams):
            raise NotAllowed(
                "The definition of a user contains an e-mail address, so your account may read it only for users of "
                f"its teams ({', '.join(sorted(teams)) or 'none'}). GET /v1/users shows everything else."
            )

    def _check_known(self, item: Item, known: Known, identity: Identity) -> None:
        for name, reference in _references(item):
            owner = known.owner(reference)
            is_visible = identity.organisation_id in (None, owner.organisation_id)
            # An organisation need not be defined: its id alone is enough for teams and cycles. The state tables contain
            # no comments, so comments from other sources are unknown here.
            is_known = reference[0] in (ORGANISATION, COMMENT) or reference in known.definitions
            if is_known and is_visible:
                continue
            entity_type = ENTITY_TYPES[reference[0]].replace("_", " ")
            message = (
                f"Unknown {entity_type} {reference[1]!r}: neither the state tables nor an accepted request contain it."
            )
            similar = self._similar(reference, identity)
            if item.writable.kind is Kind.ENDING and name == item.writable.id_field:
                raise NotFound(message, similar)
            raise UnknownName(message, pointer=f"{item.pointer}/{name}", similar=similar)

    def _similar(self, reference: Entity, identity: Identity) -> list[str]:
        entity_type, wanted, visible = ENTITY_TYPES[reference[0]], reference[1], parameters(identity)
        try:
            return (
                self._warehouses.seen_by(visible)
                .read(lambda reader: similar_ids(reader, entity_type, wanted, visible))
                .value
            )
        except (NotPublished, RetryableError):
            return []


def _teams_of(identity: Identity, known: Known) -> frozenset[str]:
    """Return the teams for which the caller may write: those that the account leads, and its user's own team."""
    own_team = None
    if identity.user_id is not None:
        known.fetch([(USER, identity.user_id)])
        own_team = known.owner((USER, identity.user_id)).team_id
    return frozenset(each for each in (*identity.team_ids, own_team) if each is not None)


def _check_earlier(item: Item, owner: Owner, identity: Identity, teams: frozenset[str]) -> None:
    """Check that the caller may change the entity according to its existing definition."""
    if identity.organisation_id not in (None, owner.organisation_id):
        # The id is in use, but its owner is not disclosed.
        raise NotAllowed(f"The id {item.entity_id!r} cannot be used. Choose another one.")
    _check_team(item, owner, identity, teams)


def _check_change(item: Item, owner: Owner, identity: Identity, teams: frozenset[str]) -> None:
    """Check that the caller may make this change, given the team and organisation to which the entity will belong."""
    if identity.organisation_id is not None and owner.organisation_id != identity.organisation_id:
        raise ContractViolation(
            "other_organisation",
            f"{item.pointer}: the {item.writable.title} must belong to a team of your organisation.",
        )
    _check_team(item, owner, identity, teams)
    author = item.data.get("user_id") if item.writable.id_field != "user_id" else None
    if author is None or identity.role in OF_THE_ORGANISATION or author == identity.user_id:
        return
    raise NotAllowed(f"Your account may act only for the user {identity.user_id!r}, not for {author!r}.")


def _check_team(item: Item, owner: Owner, identity: Identity, teams: frozenset[str]) -> None:
    if identity.role in OF_THE_ORGANISATION or owner.team_id in teams:
        return
    if item.writable.event_type in {CYCLE, "okr.cycle.closed.v1"}:
        raise NotAllowed("Cycles belong to the whole organisation: only admins and services may change them.")
    if item.writable.event_type == TEAM and item.if_match is None:
        raise NotAllowed("Only admins and services may define new teams; leads may change the teams that they lead.")
    belongs = "no team" if owner.team_id is None else repr(owner.team_id)
    raise NotAllowed(
        f"Your account may change only what belongs to its teams ({', '.join(sorted(teams)) or 'none'}); this "
        f"{item.writable.title} belongs to {belongs}."
    )


def _owning_entity(item: Item) -> Entity:
    """Return the entity that determines the team and organisation of an event."""
    if item.is_definition:
        return item.entity
    name = item.writable.id_field if item.writable.kind is Kind.ENDING else "key_result_id"
    return REFERENCES[name], str(item.data[name])


def _references(item: Item) -> Iterator[tuple[str, Entity]]:
    """Yield the fields that refer to entities, with these entities. A definition's own id is excluded."""
    for name, event_type in REFERENCES.items():
        value = item.data.get(name)
        if value is not None and not (item.is_definition and name == item.writable.id_field):
            yield name, (event_type, value)
