"""Compute the state tables (schema `app`) from the stored events (app.event).

For each changed entity, a projection reads all counted events again. The result does not depend on the order in which
events arrive, or on duplicates. The tables are derived from each other as follows:

    event -> event.withheld_because (set if an event is withheld, ADR 18)
          -> newest_event (definitions) -> users; the views organisations, teams, cycles, objectives, key_results
          -> check_ins
          -> key_result_cycles (from definitions, endings and check-ins; one row per key result and cycle) -> okrs
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import psycopg

from ingestion.state.followed_events import (
    CHECK_IN,
    CYCLE,
    DEFINITIONS,
    ID_PARAMETERS,
    KEY_RESULT,
    OBJECTIVE,
    TEAM,
    USER,
    Entity,
    ids_by_definition,
)
from lakehouse.achieved_score import ACHIEVED_SCORE, TOLERANCE
from lakehouse.contracts.cycle import DAYS_TO_CLOSE
from lakehouse.ids import natural_uuid
from lakehouse.warehouse import read_sql

PACKAGE = "ingestion.state"

Connection = psycopg.Connection[tuple[object, ...]]


class ReasonsToCompare(NamedTuple):
    """The reasons to compare events with each other before they count.

    Either several organisations exist, or operators have decided on individual events.
    """

    has_several_organisations: bool
    has_reviews: bool


class Projection:
    """Updates the state tables within the caller's transaction."""

    def __init__(self, connection: Connection, consumer: Mapping[str, str]) -> None:
        self._connection = connection
        self._consumer = dict(consumer)

    def reasons_to_compare(self) -> ReasonsToCompare:
        """Return which of the reasons to compare events with each other exist."""
        has_several, has_reviews = self.run("organisations_seen").fetchone() or (False, False)
        return ReasonsToCompare(bool(has_several), bool(has_reviews))

    def ambiguous(self, changed: Sequence[Entity]) -> list[Entity]:
        """Return the check-ins whose events name different key results, the only conflict within an organisation."""
        ids = [entity_id for event_type, entity_id in changed if event_type == CHECK_IN]
        return [(CHECK_IN, each) for each in self.subjects("ambiguous_check_ins", ids=ids)] if ids else []

    def withhold(self, entities: Sequence[Entity], *, has_several_organisations: bool) -> list[Entity]:
        """Determine the counted events of these entities and of their dependents; return the changed entities."""
        named = {ID_PARAMETERS[event_type]: ids for event_type, ids in ids_by_definition(entities).items()}
        dependent = self.entities("dependent_entities", **named)
        entity_types, ids = zip(*dependent, strict=True) if dependent else ((), ())
        return self.entities(
            "withhold_events",
            entity_types=list(entity_types),
            ids=list(ids),
            has_several_organisations=has_several_organisations,
        )

    def project(
        self, changed: Sequence[Entity], withheld: Sequence[Entity] = (), *, has_several_organisations: bool = False
    ) -> bool:
        """Update the rows that depend on these entities; return whether app.okrs may have changed.

        An entity in `withheld` may have no counted event left; its rows are then deleted.
        """
        ids, lost = ids_by_definition(changed), ids_by_definition(withheld)
        defined = [each for each in changed if each[0] in DEFINITIONS]
        if defined:
            event_types, entity_ids = (list(each) for each in zip(*defined, strict=True))
            self.run("project_definitions", event_types=event_types, entity_ids=entity_ids)
            if withheld:
                self.run("delete_definitions", event_types=event_types, entity_ids=entity_ids)
        checked_in = self.subjects("project_check_ins", ids=ids[CHECK_IN]) if ids[CHECK_IN] else []
        if lost[CHECK_IN]:
            checked_in += self.subjects("delete_check_ins", ids=lost[CHECK_IN])
        self._project_users(ids[USER], teams=ids[TEAM] if has_several_organisations else [])
        if lost[KEY_RESULT]:
            self.run("delete_okrs", subjects=lost[KEY_RESULT])
        return self._project_okrs(
            users=ids[USER],
            teams=ids[TEAM],
            cycles=ids[CYCLE],
            objectives=ids[OBJECTIVE],
            key_results=[*ids[KEY_RESULT], *checked_in],
        )

    def _project_users(self, defined: Sequence[str], teams: Sequence[str]) -> None:
        if not defined and not teams:
            return
        users = self.subjects("affected_users", users=defined, teams=teams)
        self.run("delete_users", users=defined)
        if users:
            ids = [natural_uuid("user", each) for each in users]
            self.run("release_emails", ids=ids)
            self.run("project_users", subjects=users, ids=ids)

    def _project_okrs(self, **changed: Sequence[str]) -> bool:
        key_results = self.subjects("affected_key_results", **changed) if any(changed.values()) else []
        if key_results:
            self.project_key_results(key_results)
        return bool(key_results)

    def project_key_results(self, key_results: Sequence[str]) -> None:
        """Replace the key results' rows in app.key_result_cycles and update their rows in app.okrs."""
        ids = [natural_uuid("key_result", each) for each in key_results]
        self.run("delete_key_result_cycles", subjects=key_results)
        self.run("project_key_result_cycles", subjects=key_results, days_to_close=DAYS_TO_CLOSE)
        self.run("project_okrs", subjects=key_results, ids=ids, achieved_score=ACHIEVED_SCORE, tolerance=TOLERANCE)

    def entities(self, query: str, **parameters: Any) -> list[Entity]:
        """Run a query that returns pairs of an event type (or entity type) and an id."""
        rows = self.run(query, **parameters).fetchall()
        return [(str(event_type), str(entity_id)) for event_type, entity_id in rows]

    def subjects(self, query: str, **parameters: Any) -> list[str]:
        """Run a query that returns ids."""
        return [str(subject) for (subject,) in self.run(query, **parameters).fetchall()]

    def run(self, query: str, **parameters: Any) -> psycopg.Cursor[tuple[object, ...]]:
        """Run one of this package's SQL files."""
        return self._connection.execute(read_sql(PACKAGE, query), parameters | self._consumer)
