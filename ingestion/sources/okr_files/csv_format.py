"""The two files: their names, their columns, and what a closing check-in is called."""

from dataclasses import dataclass


@dataclass(frozen=True)
class FileFormat:
    """A CSV file's name, the columns it must have, in any order, and which of them hold numbers."""

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

# Faults of a file's form, not of one row: what else the file says may be read wrongly, so nothing of it is sent unless
# somebody accepts that.
FORM_FAULTS = frozenset({"unclosed_quote", "decimal_comma", "not_utf8", "file_cut_short"})


@dataclass(frozen=True, slots=True)
class Rejection:
    """A row that cannot be used. `line` is where the row begins in its file, from 1; `reason` is a stable word."""

    file: str
    line: int
    reason: str
    message: str
