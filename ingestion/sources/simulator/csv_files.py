"""Write the simulated organisation to the two CSV files that `okr produce files` reads."""

import csv
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import cast

from ingestion.sources.okr_files.csv_format import CHECK_INS, KEY_RESULTS, FileFormat
from ingestion.sources.simulator.facts import Fact
from ingestion.sources.simulator.okrs import KeyResult, draw_okrs
from ingestion.sources.simulator.scale import cycles_until
from ingestion.sources.simulator.teams_and_users import Organisation
from ingestion.sources.simulator.timeline import timeline
from lakehouse.contracts.check_in import CheckInRecorded
from lakehouse.contracts.key_result import KeyResultDefined
from lakehouse.errors import PermanentError

Cells = tuple[str, ...]


def write_files(organisation: Organisation, as_of: datetime, folder: Path) -> dict[str, int]:
    """Write the state at `as_of` (latest targets, corrected values); return the number of rows by file.

    Raises:
        PermanentError: the folder is not empty or not writable.
    """
    _require_empty_folder(folder)
    defined: dict[str, KeyResultDefined] = {}
    recorded: dict[str, Fact] = {}
    for fact in timeline(organisation, as_of):
        if isinstance(fact.data, KeyResultDefined):
            defined[fact.data.key_result_id] = fact.data
        elif isinstance(fact.data, CheckInRecorded):
            recorded[fact.data.check_in_id] = fact  # corrections are sent later, so the last one wins
    drawn = {
        key_result.id: key_result for cycle in cycles_until(as_of) for key_result in draw_okrs(organisation, cycle)[1]
    }
    check_ins = sorted(map(_check_in_row, recorded.values()))
    return {
        KEY_RESULTS.name: _write(
            folder, KEY_RESULTS, (_key_result_row(organisation, drawn[id_], data) for id_, data in defined.items())
        ),
        CHECK_INS.name: _write(folder, CHECK_INS, check_ins),
    }


def _key_result_row(organisation: Organisation, drawn: KeyResult, data: KeyResultDefined) -> Cells:
    objective = drawn.objective
    return (
        data.key_result_id,
        organisation.name,
        objective.team.name,
        drawn.owner.email,
        objective.cycle.name,
        objective.cycle.start.isoformat(),
        objective.cycle.end.isoformat(),
        objective.title,
        data.title,
        data.unit,
        repr(data.baseline),
        repr(data.target),
    )


def _check_in_row(fact: Fact) -> Cells:
    data = cast("CheckInRecorded", fact.data)
    moment = fact.occurred_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    confidence = "" if data.confidence is None else repr(data.confidence)
    return data.key_result_id, moment, repr(data.value), confidence, data.note or ""


def _require_empty_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        is_empty = next(folder.iterdir(), None) is None
    except OSError as error:
        raise PermanentError(f"{folder}: expected a writable folder: {error.strerror}.") from error
    if not is_empty:
        raise PermanentError(f"{folder} is not empty. Existing files are not overwritten; give a new or empty folder.")


def _write(folder: Path, file_format: FileFormat, rows: Iterable[Cells]) -> int:
    path = folder / file_format.name
    count = 0
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(file_format.columns)
            for count, row in enumerate(rows, start=1):  # noqa: B007 - the count is returned
                writer.writerow(row)
    except OSError as error:
        raise PermanentError(f"{path} cannot be written: {error.strerror}.") from error
    return count
