"""Facts to events: deterministic ids and bytes, so that a second import of the same rows makes only duplicates.

A corrected value has another event id but the same check-in id; a correction back to the first value, too. Ids are read
off the file's own names: `organisation`, `organisation/team`, the owner's e-mail, `organisation/cycle`; longer ones and
objectives are hashed.
"""

import hashlib
from collections.abc import Iterator
from datetime import UTC, date, datetime, time

import msgspec

from ingestion.event_codec import EncodedEvent, encode
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
    """Yield a key result and everything above it, topmost first."""
    organisation = organisation_id_of(row)
    team = name_of("team", row.organisation, row.team)
    cycle = name_of("cycle", row.organisation, row.cycle)
    objective = hash_of("objective", row.organisation, row.team, row.cycle, normalised_name(row.objective))
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
    return name_of("organisation", row.organisation)


def check_in_data(key_result: KeyResultRow, at: datetime, row: CheckInRow) -> CheckInRecorded:
    """Return what a check-in's event says; who made it is not in the file, so that it names nobody.

    It says whose key result it means: another organisation's may have the same id in the warehouse.
    """
    key_result_id = key_result.key_result_id
    return CheckInRecorded(
        check_in_id=hash_of("check_in", key_result_id, at.isoformat()),
        key_result_id=key_result_id,
        value=row.value,
        confidence=row.confidence,
        note=row.note or None,
        is_final=row.is_final,
        organisation_id=organisation_id_of(key_result),
    )


def name_of(kind: str, *parts: str) -> str:
    """Return a readable id of names inside each other; a hash where that would be ambiguous or no id at all."""
    name = "/".join(parts)
    if len(name) > LONGEST_ID or fault_of_id(name) or any("/" in part for part in parts):
        return hash_of(kind, *parts)
    return name


def hash_of(kind: str, *parts: str) -> str:
    """Return an id made of a kind and the SHA-256 of its parts (80 bits of it)."""
    digest = hashlib.sha256("\x1f".join(parts).encode()).hexdigest()
    return f"{kind}-{digest[:20]}"


def start_of(day: date) -> datetime:
    """Return 00:00 UTC of a day: when an imported definition counts as made."""
    return datetime.combine(day, time(), tzinfo=UTC)


def encode_fact(data: msgspec.Struct, at: datetime, revision: int = 0) -> EncodedEvent:
    """Frame an imported fact; it brings no recording time, and is flagged so. `revision` as in `sent.SentFacts`.

    Raises:
        ContractViolation: the fact breaks its contract.
    """
    parts = [SOURCE, type(data).__name__, msgspec.json.encode(data).decode()]
    event_id = uuid7_of(at, *parts, *([str(revision)] if revision else []))
    return encode(data, at=at, source=SOURCE, event_id=event_id, recorded_at=at, recorded_assumed=True)
