"""Convert the valid rows of both files to events in chronological order, with parents before their children."""

import heapq
from collections.abc import Iterator
from datetime import datetime

import msgspec

from ingestion.contract_validation import EncodedEvent
from ingestion.sources.okr_files.owner_teams import owner_moves
from ingestion.sources.okr_files.row_to_events import check_in_data, definitions_of, encode_fact, start_of
from ingestion.sources.okr_files.row_validation import History
from lakehouse.contracts.key_result import KeyResultDefined
from lakehouse.contracts.user import UserDefined


def history_facts(history: History) -> Iterator[tuple[datetime, msgspec.Struct]]:
    """Return all facts of a history and their times, in chronological order, with parents before their children."""
    return heapq.merge(_definitions(history), _check_ins(history), key=lambda pair: pair[0])


def history_events(history: History) -> Iterator[EncodedEvent]:
    """Return all facts of a history, encoded as the events of a first import."""
    return (encode_fact(data, at) for at, data in history_facts(history))


def _definitions(history: History) -> Iterator[tuple[datetime, msgspec.Struct]]:
    defined: set[tuple[str, str]] = set()
    rows = sorted(history.key_results.values(), key=lambda row: row.cycle_start)
    moves = owner_moves(rows)
    timed: list[tuple[datetime, msgspec.Struct]] = []
    for row in rows:
        for data in definitions_of(row):
            name = type(data).__name__, str(getattr(data, data.__struct_fields__[0]))
            if isinstance(data, UserDefined):
                is_new = moves.get((data.user_id, row.cycle_start)) is row
            else:
                # Every row defines its key result. Teams, cycles etc. are defined by the first row that names them.
                is_new = isinstance(data, KeyResultDefined) or name not in defined
            if is_new:
                defined.add(name)
                timed.append((start_of(row.cycle_start), data))
    # When a cycle ends, the owner of a key result may move to a team in which they already have a running key result.
    # No row starts on that day, so the move needs an event of its own.
    for (_, day), row in moves.items():
        if row.cycle_start < day <= history.now.date():
            timed += [(start_of(day), data) for data in definitions_of(row) if isinstance(data, UserDefined)]
    return iter(sorted(timed, key=lambda pair: pair[0]))


def _check_ins(history: History) -> Iterator[tuple[datetime, msgspec.Struct]]:
    for (key_result_id, at), row in sorted(history.check_ins.items(), key=lambda item: item[0][1]):
        yield at, check_in_data(history.first_row_of(key_result_id), at, row)
