"""Parse a CSV row into a typed row. Checks that need more than this row are in `row_validation`."""

import re
from dataclasses import dataclass
from datetime import date, datetime

from ingestion.sources.okr_files.cell_parsing import date_of, id_of, name_in, number_of, ratio_of, text_of, time_of
from ingestion.sources.okr_files.csv_format import FINAL_NOTE
from lakehouse.contracts.cycle import LONGEST_DAYS
from lakehouse.contracts.fields import ADDRESS, SMALLEST_GAIN
from lakehouse.errors import ContractViolation
from lakehouse.number_format import plain


@dataclass(frozen=True, slots=True)
class KeyResultRow:
    """A key result with its objective, cycle, team and organisation. `owner_email` is None if it has no owner."""

    key_result_id: str
    organisation: str
    team: str
    owner_email: str | None
    cycle: str
    cycle_start: date
    cycle_end: date
    objective: str
    key_result: str
    unit: str
    baseline: float
    target: float

    @property
    def cycle_key(self) -> tuple[str, str]:
        """The key of the cycle. A cycle's name is unique within its organisation."""
        return self.organisation, self.cycle


@dataclass(frozen=True, slots=True)
class CheckInRow:
    """The content of a check-in, which is identified by its key result and its time."""

    value: float
    confidence: float | None
    note: str

    @property
    def is_final(self) -> bool:
        """Whether the check-in closes its key result."""
        return " ".join(self.note.split()).casefold() == FINAL_NOTE


def key_result_of(cells: dict[str, str]) -> KeyResultRow:
    """Parse a row of key_results.csv.

    Raises:
        ContractViolation: `bad_cycle`, `target_equals_baseline` or one of the reasons in `cell_parsing`.
    """
    row = KeyResultRow(
        key_result_id=id_of(cells, "key_result_id"),
        organisation=name_in(cells, "organisation"),
        team=name_in(cells, "team"),
        owner_email=_email_in(cells, "owner_email") if cells["owner_email"] else None,
        cycle=name_in(cells, "cycle"),
        cycle_start=date_of(cells, "cycle_start"),
        cycle_end=date_of(cells, "cycle_end"),
        objective=text_of(cells, "objective"),
        key_result=text_of(cells, "key_result"),
        unit=cells["unit"],
        baseline=number_of(cells, "baseline"),
        target=number_of(cells, "target"),
    )
    days = (row.cycle_end - row.cycle_start).days
    if not 1 <= days <= LONGEST_DAYS:
        message = f"A cycle ends 1 to {LONGEST_DAYS} days after its start, found {row.cycle_start} to {row.cycle_end}."
        raise ContractViolation("bad_cycle", message)
    if abs(row.target - row.baseline) < SMALLEST_GAIN:
        message = f"The target must differ from the baseline, found {plain(row.target)} for both."
        raise ContractViolation("target_equals_baseline", message)
    return row


def _email_in(cells: dict[str, str], column: str) -> str:
    address = name_in(cells, column).lower()
    if not re.fullmatch(ADDRESS, address):
        raise ContractViolation("bad_data", f"{column} must be one e-mail address or empty, found {address[:80]!r}.")
    return address


def check_in_of(cells: dict[str, str]) -> tuple[str, datetime, CheckInRow]:
    """Parse a row of check_ins.csv as (key result id, time in UTC, content).

    Raises:
        ContractViolation: one of the reasons in `cell_parsing`.
    """
    row = CheckInRow(number_of(cells, "value"), ratio_of(cells, "confidence"), cells["note"])
    return id_of(cells, "key_result_id"), time_of(cells, "checked_in_at"), row
