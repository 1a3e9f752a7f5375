"""The format of the two CSV files: their names, their columns and the note that marks a closing check-in."""

from dataclasses import dataclass


@dataclass(frozen=True)
class FileFormat:
    """A CSV file's name, its required columns (in any order), and which of them are numbers."""

    name: str
    columns: tuple[str, ...]
    numbers: tuple[str, ...]


KEY_RESULTS = FileFormat(
    "key_results.csv",
    (
        "key_result_id",
        "organisation",
        "team",
        "owner_email",
        "cycle",
        "cycle_start",
        "cycle_end",
        "objective",
        "key_result",
        "unit",
        "baseline",
        "target",
    ),
    numbers=("baseline", "target"),
)
CHECK_INS = FileFormat(
    "check_ins.csv",
    ("key_result_id", "checked_in_at", "value", "confidence", "note"),
    numbers=("value", "confidence"),
)

FINAL_NOTE = "final value"  # the note of the check-in that closes a key result

# Faults that may affect the whole file. Other rows may have been misread because of them, so nothing is sent unless the
# user accepts this.
FILE_FAULTS = frozenset({"unclosed_quote", "decimal_comma", "not_utf8", "file_cut_short"})


@dataclass(frozen=True, slots=True)
class Rejection:
    """A rejected row. `line` is the line on which the row starts, from 1; `reason` is a stable identifier."""

    file: str
    line: int
    reason: str
    message: str
