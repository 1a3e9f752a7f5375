"""Convert CSV rows to events. The same rows yield the same ids and bytes, so importing them again has no effect.

If the value of a check-in is corrected, even back to its first value, the new event has a new event id but the same
check-in id. The ids of organisations, teams and cycles are built from the names in the file (`organisation`,
`organisation/team`, `organisation/cycle`); a user's id is the e-mail address. Ids of objectives and check-ins are
hashes, and so are ids that would otherwise be too long, ambiguous or invalid.
"""

import hashlib
from collections.abc import Iterator
from datetime import UTC, date, datetime, time

import msgspec

from ingestion.contract_validation import EncodedEvent, encode
from ingestion.sources.okr_files.cell_parsing import LONGEST_ID
from ingestion.sources.okr_files.row_parsing import CheckInRow, KeyResultRow
from lakehouse.contracts.allowed_characters import fault_of_id, normalised_name
from lakehouse.contracts.check_in import CheckInRecorded
from lakehouse.contracts.cycle import CycleDefined
from lakehouse.contracts.key_result import KeyResultDefined
from lakehouse.contracts.objective import ObjectiveDefined
from lakehouse.contracts.organisation import OrganisationDefined
from lakehouse.contracts.team import TeamDefined
from lakehouse.contracts.user import UserDefined
from lakehouse.ids import uuid7_of

SOURCE = "okr-files"


def definitions_of(row: KeyResultRow) -> Iterator[msgspec.Struct]:
    """Yield the definitions of a key result and of everything above it, from the organisation down."""
    organisation = organisation_id_of(row)
    team = id_from_names("team", row.organisation, row.team)
    cycle = id_from_names("cycle", row.organisation, row.cycle)
    objective = hashed_id("objective", row.organisation, row.team, row.cycle, normalised_name(row.objective))
    yield OrganisationDefined(organisation_id=organisation, name=row.organisation)
    yield TeamDefined(team_id=team, organisation_id=organisation, name=row.team)
    if row.owner_email:
        name = row.owner_email.partition("@")[0]
        yield UserDefined(user_id=row.owner_email, name=name, email=row.owner_email, team_id=team)
    yield CycleDefined(
        cycle_id=cycle,
        organisation_id=organisation,
        name=row.cycle,
        starts_on=row.cycle_start,
        ends_on=row.cycle_end,
    )
    yield ObjectiveDefined(objective_id=objective, team_id=team, cycle_id=cycle, title=row.objective)
    yield KeyResultDefined(
        key_result_id=row.key_result_id,
        objective_id=objective,
        title=row.key_result,
        unit=row.unit,
        baseline=row.baseline,
        target=row.target,
        direction="increase" if row.target > row.baseline else "decrease",
        owner_user_id=row.owner_email,
    )


def organisation_id_of(row: KeyResultRow) -> str:
    """Return the id of a key result's organisation."""
    return id_from_names("organisation", row.organisation)


def check_in_data(key_result: KeyResultRow, at: datetime, row: CheckInRow) -> CheckInRecorded:
    """Return the data of a check-in event. The event has no user, because the file does not say who made the check-in.

    The event names the organisation of its key result, because another organisation may use the same key result id.
    """
    key_result_id = key_result.key_result_id
    return CheckInRecorded(
        check_in_id=hashed_id("check_in", key_result_id, at.isoformat()),
        key_result_id=key_result_id,
        value=row.value,
        confidence=row.confidence,
        note=row.note or None,
        is_final=row.is_final,
        organisation_id=organisation_id_of(key_result),
    )


def id_from_names(kind: str, *parts: str) -> str:
    """Return an id built from nested names, or a hash if such an id would be too long, ambiguous or invalid."""
    name = "/".join(parts)
    if len(name) > LONGEST_ID or fault_of_id(name) or any("/" in part for part in parts):
        return hashed_id(kind, *parts)
    return name


def hashed_id(kind: str, *parts: str) -> str:
    """Return an id that consists of a kind and 80 bits of the SHA-256 hash of the parts."""
    digest = hashlib.sha256("\x1f".join(parts).encode()).hexdigest()
    return f"{kind}-{digest[:20]}"


def start_of(day: date) -> datetime:
    """Return 00:00 UTC of a day, which is the time of an imported definition."""
    return datetime.combine(day, time(), tzinfo=UTC)


def encode_fact(data: msgspec.Struct, at: datetime, revision: int = 0) -> EncodedEvent:
    """Encode an imported fact. The recording time is unknown, so `at` is used and marked as assumed.

    See `SentFacts` for `revision`.

    Raises:
        ContractViolation: the fact violates its contract.
    """
    parts = [SOURCE, type(data).__name__, msgspec.json.encode(data).decode()]
    event_id = uuid7_of(at, *parts, *([str(revision)] if revision else []))
    return encode(data, at=at, source=SOURCE, event_id=event_id, recorded_at=at, recorded_assumed=True)
