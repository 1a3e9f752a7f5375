"""Read both files: what can be used, as events in the order of time; every row that cannot, with line and reason.

A check-in must lie in its cycle (first to last day, UTC). Only the one noted "final value" may come up to
`DAYS_TO_CLOSE` days after the last day: people close a cycle when it is over.
"""

import heapq
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path

import msgspec

from ingestion.events import EncodedEvent
from ingestion.sources.okr_files.format import CHECK_INS, DAYS_TO_CLOSE, KEY_RESULTS, Rejection
from ingestion.sources.okr_files.rows import CheckInRow, KeyResultRow, check_in_of, key_result_of
from ingestion.sources.okr_files.table import Row, Table
from ingestion.sources.okr_files.translate import check_in_data, definitions_of, encode_fact, start_of
from lakehouse.errors import ContractViolation, PermanentError

Reject = Callable[[Rejection], None]


@dataclass
class History:
    """Usable rows of both files. `rows_read` counts per file what was used and what was rejected together."""

    key_results: dict[str, KeyResultRow] = field(default_factory=dict)
    check_ins: dict[tuple[str, datetime], CheckInRow] = field(default_factory=dict)
    rows_read: Counter[str] = field(default_factory=Counter)
    ignored_columns: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _cycles: dict[tuple[str, str], tuple[date, date]] = field(default_factory=dict)
    _unusable: set[str] = field(default_factory=set)

    def add_key_result(self, cells: dict[str, str], now: datetime) -> None:
        """Take a row of key_results.csv.

        Raises:
            ContractViolation: the row cannot be used.
        """
        try:
            row = key_result_of(cells)
            self._check_key_result(row, now)
        except ContractViolation:
            self._unusable.add(cells["key_result_id"])
            raise
        self.key_results[row.key_result_id] = row
        self._cycles.setdefault(row.cycle_key, (row.cycle_start, row.cycle_end))

    def add_check_in(self, cells: dict[str, str], now: datetime) -> None:
        """Take a row of check_ins.csv.

        Raises:
            ContractViolation: the row cannot be used.
        """
        key_result_id, at, row = check_in_of(cells)
        key_result = self._check_check_in(key_result_id, at, row, now)
        self.check_ins[key_result.key_result_id, at] = row  # that text is held already, once

    def _check_key_result(self, row: KeyResultRow, now: datetime) -> None:
        if row.key_result_id in self.key_results:
            message = f"key_result_id {row.key_result_id!r} stands in an earlier row, which is used."
            raise ContractViolation("duplicate_key_result_id", message)
        start = start_of(row.cycle_start)
        if start > now:
            raise ContractViolation("cycle_in_future", f"The cycle starts on {row.cycle_start}, which is yet to come.")
        told = self._cycles.get(row.cycle_key, (row.cycle_start, row.cycle_end))
        if told != (row.cycle_start, row.cycle_end):
            message = (
                f"Cycle {row.cycle!r} is {told[0]} to {told[1]} in an earlier row, "
                f"here {row.cycle_start} to {row.cycle_end}."
            )
            raise ContractViolation("conflicting_cycle", message)
        for data in definitions_of(row):
            encode_fact(data, start)

    def _check_check_in(self, key_result_id: str, at: datetime, row: CheckInRow, now: datetime) -> KeyResultRow:
        key_result = self.key_results.get(key_result_id)
        if key_result is None:
            where = "its row was rejected" if key_result_id in self._unusable else f"it is not in {KEY_RESULTS.name}"
            raise ContractViolation("unknown_key_result", f"Key result {key_result_id!r} cannot be used: {where}.")
        last = key_result.cycle_end + timedelta(days=DAYS_TO_CLOSE if row.is_final else 0)
        if not key_result.cycle_start <= at.date() <= last:
            message = f"Expected a day from {key_result.cycle_start} to {last} (its cycle), found {at.date()}."
            raise ContractViolation("outside_cycle", message)
        if at > now:
            raise ContractViolation("time_in_future", f"The check-in is of {at.isoformat()}, which is yet to come.")
        told = self.check_ins.get((key_result_id, at))
        if told is not None:
            reason = "duplicate_check_in" if told == row else "conflicting_check_in"
            message = f"A check-in of {at.isoformat()} stands in an earlier row, which is used (value {told.value:g})."
            raise ContractViolation(reason, message)
        encode_fact(check_in_data(key_result_id, at, row), at)
        return key_result


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
    history = History()
    with Table(folder, KEY_RESULTS) as key_results, Table(folder, CHECK_INS) as check_ins:
        _read(history, key_results, lambda cells: history.add_key_result(cells, now), reject)
        _read(history, check_ins, lambda cells: history.add_check_in(cells, now), reject)
    return history


def history_events(history: History) -> Iterator[EncodedEvent]:
    """Return all events of a history in the order of time, parents before their children."""
    timed = heapq.merge(_definitions(history), _check_ins(history), key=lambda pair: pair[0])
    return (encode_fact(data, at) for at, data in timed)


def _read(history: History, table: Table, add: Callable[[dict[str, str]], None], reject: Reject) -> None:
    if table.ignored_columns:
        history.ignored_columns[table.file] = table.ignored_columns
    for row in table:
        history.rows_read[table.file] += 1
        for rejection in _tried(table, row, add):
            reject(rejection)


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
    for row in sorted(history.key_results.values(), key=lambda row: row.cycle_start):
        for data in definitions_of(row):
            # The first word on something holds: a team or an owner is the same in each of its rows.
            name = type(data).__name__, str(getattr(data, data.__struct_fields__[0]))
            if name not in told:
                told.add(name)
                yield start_of(row.cycle_start), data


def _check_ins(history: History) -> Iterator[tuple[datetime, msgspec.Struct]]:
    for (key_result_id, at), row in sorted(history.check_ins.items(), key=lambda item: item[0][1]):
        yield at, check_in_data(key_result_id, at, row)
