"""Read both CSV files, validate their rows against each other, and report each invalid row with its line and reason.

A check-in must be dated within a cycle of its key result (first to last day, UTC). Only a check-in with the note
"final value" may be dated up to `DAYS_TO_CLOSE` days after the last day, because key results are often closed after
their cycle has ended. A key result may be carried over to later cycles and then has one row per cycle. The marts and
the state tables determine which of the cycles a final value closes (ADR 19).
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path

from ingestion.sources.okr_files.csv_format import CHECK_INS, KEY_RESULTS, Rejection
from ingestion.sources.okr_files.csv_table import Row, Table
from ingestion.sources.okr_files.row_parsing import CheckInRow, KeyResultRow, check_in_of, key_result_of
from ingestion.sources.okr_files.row_to_events import check_in_data, definitions_of, encode_fact, start_of
from lakehouse.contracts.allowed_characters import normalised_name
from lakehouse.contracts.cycle import DAYS_TO_CLOSE
from lakehouse.errors import ContractViolation, PermanentError
from lakehouse.number_format import plain

Reject = Callable[[Rejection], None]


@dataclass
class History:
    """The valid rows of both files. Times after `now` are invalid. `rows_read` counts all rows by file."""

    now: datetime
    key_results: dict[tuple[str, date], KeyResultRow] = field(default_factory=dict)
    check_ins: dict[tuple[str, datetime], CheckInRow] = field(default_factory=dict)
    rows_read: Counter[str] = field(default_factory=Counter)
    ignored_columns: dict[str, tuple[str, ...]] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)
    _cycles: dict[tuple[str, str], tuple[date, date]] = field(default_factory=dict)
    _rows_by_key_result: dict[str, list[KeyResultRow]] = field(default_factory=dict)
    _rejected_ids: set[str] = field(default_factory=set)

    def add_key_result(self, cells: dict[str, str]) -> None:
        """Validate a row of key_results.csv and add it.

        Raises:
            ContractViolation: the row is invalid.
        """
        try:
            row = key_result_of(cells)
            self._check_key_result(row)
        except ContractViolation:
            self._rejected_ids.add(normalised_name(cells["key_result_id"]))
            raise
        self.key_results[row.key_result_id, row.cycle_start] = row
        rows = self._rows_by_key_result.setdefault(row.key_result_id, [])
        rows.append(row)
        rows.sort(key=lambda each: each.cycle_start)
        self._cycles.setdefault(row.cycle_key, (row.cycle_start, row.cycle_end))

    def add_check_in(self, cells: dict[str, str]) -> None:
        """Validate a row of check_ins.csv and add it.

        Raises:
            ContractViolation: the row is invalid.
        """
        key_result_id, at, row = check_in_of(cells)
        key_result = self._key_result_of(key_result_id, at, row, cells["checked_in_at"])
        self._check_check_in(key_result_id, at, row, cells["checked_in_at"])
        self.check_ins[key_result.key_result_id, at] = row  # one id string per key result saves memory

    def _check_key_result(self, row: KeyResultRow) -> None:
        start = start_of(row.cycle_start)
        if start > self.now:
            raise ContractViolation("cycle_in_future", f"The cycle starts in the future, on {row.cycle_start}.")
        known = self._cycles.get(row.cycle_key, (row.cycle_start, row.cycle_end))
        if known != (row.cycle_start, row.cycle_end):
            message = (
                f"Cycle {row.cycle!r} is {known[0]} to {known[1]} in an earlier row, "
                f"but {row.cycle_start} to {row.cycle_end} in this one."
            )
            raise ContractViolation("conflicting_cycle", message)
        for other in self._rows_by_key_result.get(row.key_result_id, ()):
            _check_compatible(row, other)
        for data in definitions_of(row):
            encode_fact(data, start)

    def first_row_of(self, key_result_id: str) -> KeyResultRow:
        """Return the first valid row of a key result. All its rows name the same organisation."""
        return self._rows_by_key_result[key_result_id][0]

    def _key_result_of(self, key_result_id: str, at: datetime, row: CheckInRow, cell: str) -> KeyResultRow:
        """Return the row of the key result for the first cycle in which a check-in may have this date."""
        rows = self._rows_by_key_result.get(key_result_id)
        if rows is None:
            where = (
                "its row was rejected" if key_result_id in self._rejected_ids else f"it is not in {KEY_RESULTS.name}"
            )
            raise ContractViolation("unknown_key_result", f"Unknown key result {key_result_id!r}: {where}.")
        grace = timedelta(days=DAYS_TO_CLOSE if row.is_final else 0)
        for each in rows:
            if each.cycle_start <= at.date() <= each.cycle_end + grace:
                return each
        expected = " or ".join(f"{each.cycle_start} to {each.cycle_end + grace}" for each in rows)
        message = f"Expected a day within its cycle in UTC ({expected}), found {cell!r}, which is {_utc(at)}."
        raise ContractViolation("outside_cycle", message)

    def _check_check_in(self, key_result_id: str, at: datetime, row: CheckInRow, cell: str) -> None:
        if at > self.now:
            message = f"The check-in is dated {cell!r}, which is {_utc(at)} and in the future."
            raise ContractViolation("time_in_future", message)
        earlier = self.check_ins.get((key_result_id, at))
        if earlier is not None:
            reason = "duplicate_check_in" if earlier == row else "conflicting_check_in"
            message = (
                f"An earlier row has a check-in at {_utc(at)} (value {plain(earlier.value)}); the earlier row is used."
            )
            raise ContractViolation(reason, message)
        encode_fact(check_in_data(self.first_row_of(key_result_id), at, row), at)


def _utc(at: datetime) -> str:
    """Format a UTC time as in RFC 3339. strftime would omit leading zeros of the year."""
    return at.isoformat().replace("+00:00", "Z")


def _check_compatible(row: KeyResultRow, other: KeyResultRow) -> None:
    """Check that a row and an earlier row of the same key result are for different cycles of one organisation.

    Raises:
        ContractViolation: `duplicate_key_result_id`, `conflicting_organisation` or `overlapping_cycle`.
    """
    name = f"key_result_id {row.key_result_id!r}"
    if row.organisation != other.organisation:
        message = f"{name} belongs to {other.organisation!r} in an earlier row, but not in this one."
        raise ContractViolation("conflicting_organisation", message)
    if row.cycle == other.cycle:
        raise ContractViolation(
            "duplicate_key_result_id", f"{name}: an earlier row already covers this cycle; the earlier row is used."
        )
    if row.cycle_start <= other.cycle_end and other.cycle_start <= row.cycle_end:
        message = (
            f"{name} is in {other.cycle!r} until {other.cycle_end} in an earlier row, but in {row.cycle!r} from "
            f"{row.cycle_start} in this one: the cycles of a key result must not overlap."
        )
        raise ContractViolation("overlapping_cycle", message)


def read_history(folder: Path, *, now: datetime, reject: Reject) -> History:
    """Read the two files of a folder; `reject` is called for each invalid row, in file order.

    Valid rows stay in memory (about 0.4 KB each), because they have to be sorted by time before they are sent.

    Raises:
        PermanentError: the folder or a file cannot be read.
        ContractViolation: a header is missing or wrong; no row was read.
    """
    if not folder.is_dir():
        raise PermanentError(
            f"{folder} is not a folder. Expected a folder with {KEY_RESULTS.name} and {CHECK_INS.name}."
        )
    history = History(now)
    with Table(folder, KEY_RESULTS) as key_results, Table(folder, CHECK_INS) as check_ins:
        _read(history, key_results, history.add_key_result, reject)
        _read(history, check_ins, history.add_check_in, reject)
    return history


def _read(history: History, table: Table, add: Callable[[dict[str, str]], None], reject: Reject) -> None:
    if table.ignored_columns:
        history.ignored_columns[table.file] = table.ignored_columns
    for row in table:
        history.rows_read[table.file] += 1
        for rejection in _add(table, row, add):
            reject(rejection)
    if notes := table.notes():
        history.notes[table.file] = notes


def _add(table: Table, row: Row | Rejection, add: Callable[[dict[str, str]], None]) -> Iterator[Rejection]:
    if isinstance(row, Rejection):
        yield row
        return
    try:
        add(row.cells)
    except ContractViolation as error:
        yield Rejection(table.file, row.line, error.reason, str(error))
