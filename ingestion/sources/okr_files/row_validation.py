"""Read both files: what can be used, as events in the order of time; every row that cannot, with line and reason.

A check-in must lie in a cycle of its key result (first to last day, UTC). Only the one noted "final value" may come up
to `DAYS_TO_CLOSE` days after the last day: people close a cycle when it is over, and what is later belongs to something
else. A key result may be carried on into later cycles, one row for each; which of them a final value closes is decided
where check-ins are counted (ADR 19).
"""

import heapq
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path

import msgspec

from ingestion.event_codec import EncodedEvent
from ingestion.sources.okr_files.csv_format import CHECK_INS, KEY_RESULTS, Rejection
from ingestion.sources.okr_files.csv_table import Row, Table
from ingestion.sources.okr_files.owner_teams import owner_moves
from ingestion.sources.okr_files.row_parsing import CheckInRow, KeyResultRow, check_in_of, key_result_of
from ingestion.sources.okr_files.row_to_events import check_in_data, definitions_of, encode_fact, start_of
from lakehouse.contracts.allowed_characters import normalised_name
from lakehouse.contracts.cycle import DAYS_TO_CLOSE
from lakehouse.contracts.key_result import KeyResultDefined
from lakehouse.contracts.user import UserDefined
from lakehouse.errors import ContractViolation, PermanentError
from lakehouse.number_format import plain

Reject = Callable[[Rejection], None]


@dataclass
class History:
    """Usable rows of both files, as of `now`. `rows_read` counts per file the used and the rejected rows together."""

    now: datetime
    key_results: dict[tuple[str, date], KeyResultRow] = field(default_factory=dict)
    check_ins: dict[tuple[str, datetime], CheckInRow] = field(default_factory=dict)
    rows_read: Counter[str] = field(default_factory=Counter)
    ignored_columns: dict[str, tuple[str, ...]] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)
    _cycles: dict[tuple[str, str], tuple[date, date]] = field(default_factory=dict)
    _of_key_result: dict[str, list[KeyResultRow]] = field(default_factory=dict)
    _unusable: set[str] = field(default_factory=set)

    def add_key_result(self, cells: dict[str, str]) -> None:
        """Take a row of key_results.csv.

        Raises:
            ContractViolation: the row cannot be used.
        """
        try:
            row = key_result_of(cells)
            self._check_key_result(row)
        except ContractViolation:
            self._unusable.add(normalised_name(cells["key_result_id"]))
            raise
        self.key_results[row.key_result_id, row.cycle_start] = row
        rows = self._of_key_result.setdefault(row.key_result_id, [])
        rows.append(row)
        rows.sort(key=lambda each: each.cycle_start)
        self._cycles.setdefault(row.cycle_key, (row.cycle_start, row.cycle_end))

    def add_check_in(self, cells: dict[str, str]) -> None:
        """Take a row of check_ins.csv.

        Raises:
            ContractViolation: the row cannot be used.
        """
        key_result_id, at, row = check_in_of(cells)
        key_result = self._key_result_of(key_result_id, at, row, cells["checked_in_at"])
        self._check_check_in(key_result_id, at, row, cells["checked_in_at"])
        self.check_ins[key_result.key_result_id, at] = row  # that text is held already, once

    def _check_key_result(self, row: KeyResultRow) -> None:
        start = start_of(row.cycle_start)
        if start > self.now:
            raise ContractViolation("cycle_in_future", f"The cycle starts on {row.cycle_start}, which is yet to come.")
        told = self._cycles.get(row.cycle_key, (row.cycle_start, row.cycle_end))
        if told != (row.cycle_start, row.cycle_end):
            message = (
                f"Cycle {row.cycle!r} is {told[0]} to {told[1]} in an earlier row, "
                f"here {row.cycle_start} to {row.cycle_end}."
            )
            raise ContractViolation("conflicting_cycle", message)
        for other in self._of_key_result.get(row.key_result_id, ()):
            _check_both(row, other)
        for data in definitions_of(row):
            encode_fact(data, start)

    def key_result_named(self, key_result_id: str) -> KeyResultRow:
        """Return the first usable row of a key result; what organisation it says holds for all of them."""
        return self._of_key_result[key_result_id][0]

    def _key_result_of(self, key_result_id: str, at: datetime, row: CheckInRow, cell: str) -> KeyResultRow:
        """Return the key result, in the cycle to which a check-in belongs."""
        rows = self._of_key_result.get(key_result_id)
        if rows is None:
            where = "its row was rejected" if key_result_id in self._unusable else f"it is not in {KEY_RESULTS.name}"
            raise ContractViolation("unknown_key_result", f"Key result {key_result_id!r} cannot be used: {where}.")
        late = timedelta(days=DAYS_TO_CLOSE if row.is_final else 0)
        for each in rows:
            if each.cycle_start <= at.date() <= each.cycle_end + late:
                return each
        expected = " or ".join(f"{each.cycle_start} to {each.cycle_end + late}" for each in rows)
        message = f"Expected a day of its cycle in UTC ({expected}), found {cell!r}, which is {_utc(at)}."
        raise ContractViolation("outside_cycle", message)

    def _check_check_in(self, key_result_id: str, at: datetime, row: CheckInRow, cell: str) -> None:
        if at > self.now:
            message = f"The check-in is of {cell!r}, which is {_utc(at)} and yet to come."
            raise ContractViolation("time_in_future", message)
        told = self.check_ins.get((key_result_id, at))
        if told is not None:
            reason = "duplicate_check_in" if told == row else "conflicting_check_in"
            message = f"A check-in of {_utc(at)} stands in an earlier row, which is used (value {plain(told.value)})."
            raise ContractViolation(reason, message)
        encode_fact(check_in_data(self.key_result_named(key_result_id), at, row), at)


def _utc(at: datetime) -> str:
    """Return a moment of UTC as RFC 3339 writes it; strftime would leave out zeros of a year."""
    return at.isoformat().replace("+00:00", "Z")


def _check_both(row: KeyResultRow, other: KeyResultRow) -> None:
    """Check a row beside an earlier one of the same key result: it may be carried on into another cycle.

    Raises:
        ContractViolation: `duplicate_key_result_id`, `conflicting_organisation` or `overlapping_cycle`.
    """
    name = f"key_result_id {row.key_result_id!r}"
    if row.organisation != other.organisation:
        message = f"{name} belongs to {other.organisation!r} in an earlier row, which is used, here to another one."
        raise ContractViolation("conflicting_organisation", message)
    if row.cycle == other.cycle:
        raise ContractViolation("duplicate_key_result_id", f"{name} stands in an earlier row, which is used.")
    if row.cycle_start <= other.cycle_end and other.cycle_start <= row.cycle_end:
        message = (
            f"{name} is in {other.cycle!r} until {other.cycle_end} in an earlier row, which is used, and here in "
            f"{row.cycle!r} from {row.cycle_start}: a day must belong to one cycle."
        )
        raise ContractViolation("overlapping_cycle", message)


def read_history(folder: Path, *, now: datetime, reject: Reject) -> History:
    """Read a folder's two files; `reject` is called with each row that cannot be used, in the order of the files.

    Holds the usable rows in memory (about 0.4 KB each), for they are sent in the order of time.

    Raises:
        PermanentError: the folder or a file cannot be read.
        ContractViolation: a header is missing or wrong; then nothing was read.
    """
    if not folder.is_dir():
        raise PermanentError(
            f"{folder} is not a folder. Expected a folder that holds {KEY_RESULTS.name} and {CHECK_INS.name}."
        )
    history = History(now)
    with Table(folder, KEY_RESULTS) as key_results, Table(folder, CHECK_INS) as check_ins:
        _read(history, key_results, history.add_key_result, reject)
        _read(history, check_ins, history.add_check_in, reject)
    return history


def history_facts(history: History) -> Iterator[tuple[datetime, msgspec.Struct]]:
    """Return all facts of a history with their moments, in the order of time, parents before their children."""
    return heapq.merge(_definitions(history), _check_ins(history), key=lambda pair: pair[0])


def history_events(history: History) -> Iterator[EncodedEvent]:
    """Return all facts of a history as the events of a first import."""
    return (encode_fact(data, at) for at, data in history_facts(history))


def _read(history: History, table: Table, add: Callable[[dict[str, str]], None], reject: Reject) -> None:
    if table.ignored_columns:
        history.ignored_columns[table.file] = table.ignored_columns
    for row in table:
        history.rows_read[table.file] += 1
        for rejection in _tried(table, row, add):
            reject(rejection)
    if notes := table.notes():
        history.notes[table.file] = notes


def _tried(table: Table, row: Row | Rejection, add: Callable[[dict[str, str]], None]) -> Iterator[Rejection]:
    if isinstance(row, Rejection):
        yield row
        return
    try:
        add(row.cells)
    except ContractViolation as error:
        yield Rejection(table.file, row.line, error.reason, str(error))


def _definitions(history: History) -> Iterator[tuple[datetime, msgspec.Struct]]:
    told: set[tuple[str, str]] = set()
    rows = sorted(history.key_results.values(), key=lambda row: row.cycle_start)
    moves = owner_moves(rows)
    timed: list[tuple[datetime, msgspec.Struct]] = []
    for row in rows:
        for data in definitions_of(row):
            name = type(data).__name__, str(getattr(data, data.__struct_fields__[0]))
            if isinstance(data, UserDefined):
                is_new = moves.get((data.user_id, row.cycle_start)) is row
            else:
                # The first word holds: a team or cycle is the same in each of its rows. Each defines a key result.
                is_new = isinstance(data, KeyResultDefined) or name not in told
            if is_new:
                told.add(name)
                timed.append((start_of(row.cycle_start), data))
    # Who moves when a cycle has ended, into a team where another of their cycles runs already.
    for (_, day), row in moves.items():
        if row.cycle_start < day <= history.now.date():
            timed += [(start_of(day), data) for data in definitions_of(row) if isinstance(data, UserDefined)]
    return iter(sorted(timed, key=lambda pair: pair[0]))


def _check_ins(history: History) -> Iterator[tuple[datetime, msgspec.Struct]]:
    for (key_result_id, at), row in sorted(history.check_ins.items(), key=lambda item: item[0][1]):
        yield at, check_in_data(history.key_result_named(key_result_id), at, row)
