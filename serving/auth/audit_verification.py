"""Verify the audit log: find rows that were changed, removed or inserted."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from serving.auth.audit_chain import FIRST_HASH, Chain, Entry
from serving.publication_reader import Reader, Row, Warehouse

PACKAGE = "serving.auth"
PAGE_ROWS = 5_000


@dataclass(frozen=True)
class AuditReport:
    """The result. `newest_id` and `newest_hash` identify the end of the log, for a later comparison.

    The chain reveals every change except the removal of the newest rows. To detect such a removal, compare `newest_id`
    and `newest_hash` with a copy outside the database, such as the service's log. `not_verified` counts the events
    whose seal could not be verified, because only the id of their key is known.
    """

    events: int
    newest_id: int
    newest_hash: str
    not_verified: int
    problems: list[str]


def verify(  # noqa: PLR0913 -- what the log is compared with
    warehouse: Warehouse,
    chain: Chain,
    *,
    earlier: Sequence[Chain] = (),
    accepted: Collection[str] = (),
    expected_id: int = 0,
    expected_hash: str = "",
) -> AuditReport:
    """Read the whole log, and check its chain, its seals and, if given, that it contains the expected id and hash.

    Events before the first event of the current key may be sealed with `earlier` keys or, without being verified, with
    keys whose ids are `accepted`. Any other key is a problem, because anyone who can write to the table could seal the
    whole log with another key.

    Raises:
        RetryableError: PostgreSQL is unavailable.
    """
    problems: list[str] = []
    chains = {each.key_id: each for each in (*earlier, chain)}
    events = newest_id = not_verified = 0
    is_present, unknown = False, set[str]()
    previous, is_expected_found = FIRST_HASH, not expected_id
    for row in _rows(warehouse):
        event_id, events = row["event_id"], events + 1
        if event_id != newest_id + 1:
            problems.append(f"Events {newest_id + 1} to {event_id - 1} are missing.")
        key = row["seal_key"]
        problems += _problems_of(row, chains.get(key), previous, is_next=event_id == newest_id + 1)
        if key == chain.key_id:
            is_present = True
        elif is_present:
            problems.append(f"Event {event_id} was not written by this service: it is sealed with another key.")
        elif key not in chains and key not in accepted and key not in unknown:
            unknown.add(key)
            problems.append(
                f"The events from {event_id} are sealed with the key {key}, which is neither the current one nor named "
                "as an earlier one."
            )
        not_verified += key not in chains
        newest_id, previous = event_id, bytes(row["hash"])
        is_expected_found = is_expected_found or (event_id == expected_id and previous.hex() == expected_hash)
    if not is_expected_found:
        problems.append(f"The log does not contain the event {expected_id} with the expected hash.")
    return AuditReport(events, newest_id, previous.hex(), not_verified, problems)


def _rows(warehouse: Warehouse) -> Iterator[Row]:
    after = 0
    while True:
        with warehouse.connection() as connection:
            rows = Reader(connection).rows(PACKAGE, "audit_events", {"after": after, "limit": PAGE_ROWS})
        yield from rows
        if len(rows) < PAGE_ROWS:
            return
        after = rows[-1]["event_id"]


def _problems_of(row: Row, chain: Chain | None, previous: bytes, *, is_next: bool) -> Iterator[str]:
    entry = Entry(**{name: row[name] for name in Entry.__dataclass_fields__})
    if is_next and bytes(row["previous_hash"]) != previous:
        yield f"Event {entry.event_id} does not follow the event before it: one of them was inserted or changed."
    if Chain.hash(entry, bytes(row["previous_hash"])) != bytes(row["hash"]):
        yield f"The content of event {entry.event_id} was changed."
    elif chain is not None and not chain.is_sealed(bytes(row["hash"]), bytes(row["seal"])):
        yield f"Event {entry.event_id} was not written by this service: its seal is wrong."
