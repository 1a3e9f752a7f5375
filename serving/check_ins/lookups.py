"""Look up key results and check-ins in the marts, the state tables and earlier requests."""

from lakehouse.contracts.cycle import DAYS_TO_CLOSE
from lakehouse.errors import RetryableError
from lakehouse.logs import get_logger
from serving.auth.roles import Identity
from serving.auth.visibility import parameters
from serving.check_ins.outcome_effect import Sent
from serving.data.similar_ids import similar_ids
from serving.errors import NotPublished, PublishedByOlderRelease
from serving.publication_reader import Reader, Row, Warehouse
from serving.warehouses import Warehouses

PACKAGE = "serving.check_ins"


class Lookups:
    """Runs read-only queries, each in its own transaction."""

    def __init__(self, warehouses: Warehouses) -> None:
        self._warehouses = warehouses

    def original_check_in(self, check_in_id: str) -> Row | None:
        """Return the key_result_id and the original occurred_at of a check-in, or None if the check-in is unknown."""
        return _first(self._warehouses.installation, "original_check_in", {"check_in_id": check_in_id})

    def author(self, check_in_id: str) -> Row:
        """Return user_id and organisation_id from a check-in's newest event in the log; empty if there is none."""
        return _first(self._warehouses.installation, "check_in_author", {"check_in_id": check_in_id}) or {}

    def key_result(self, key_result_id: str, sent: Sent, identity: Identity) -> Row | None:
        """Return a key result and its published state in a check-in's cycle, or None if the key result is unknown.

        The title, unit, baseline and target come from its newest definition if that definition belongs to the cycle.
        If the key result counts in several cycles, `closes_cycle` is the cycle that a closing check-in at that time
        closes.
        """
        wanted: Row = {"key_result_id": key_result_id, "check_in_id": sent.check_in_id, "at": sent.at}
        warehouse = self._warehouses.of(identity.organisation_id)
        to_close = _first(warehouse, "cycle_to_close", wanted | {"days_to_close": DAYS_TO_CLOSE})
        is_late = sent.is_final and to_close is not None and to_close["closes_before"]
        wanted["closes_cycle_id"] = to_close["closes_cycle_id"] if to_close and is_late else None
        published = _published(warehouse, wanted)
        # Without a published cycle, use the newest definition regardless of its cycle.
        in_cycle = published if published and "cycle_id" in published else None
        wanted |= {"is_published": in_cycle is not None, "cycle_id": in_cycle["cycle_id"] if in_cycle else None}
        defined = _first(warehouse, "key_result_definition", wanted)
        return {**(published or {}), **(defined or {}), **(to_close or {})} or None

    def similar_ids(self, key_result_id: str, identity: Identity) -> list[str]:
        """Return ids of published key results that are similar to an unknown id and that the caller may see."""
        visible = parameters(identity)
        try:
            return (
                self._warehouses.seen_by(visible)
                .read(lambda reader: similar_ids(reader, "key_result", key_result_id, visible))
                .value
            )
        except (NotPublished, RetryableError):
            return []


def _published(warehouse: Warehouse, wanted: Row) -> Row | None:
    """Return the published key result.

    If the publication is from an older release, return only the columns that every release has. The published state
    only adds warnings to the response, so an older publication must not prevent the write.
    """
    try:
        rows = warehouse.read(lambda reader: reader.rows(PACKAGE, "published_key_result", wanted)).value
    except PublishedByOlderRelease as error:
        get_logger(__name__).warning("a check-in is accepted without the warnings of its status", error=str(error))
        rows = _published_in_any_release(warehouse, wanted)
    except NotPublished:
        return None
    return rows[0] if rows else None


def _published_in_any_release(warehouse: Warehouse, wanted: Row) -> list[Row]:
    try:
        return warehouse.read(lambda reader: reader.rows(PACKAGE, "key_result_in_any_release", wanted)).value
    except (NotPublished, PublishedByOlderRelease):
        return []


def _first(warehouse: Warehouse, query: str, values: Row) -> Row | None:
    with warehouse.connection() as connection:
        rows = Reader(connection).rows(PACKAGE, query, values)
    return rows[0] if rows else None
