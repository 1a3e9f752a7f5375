"""Store feature rows by column, which makes NumPy sufficient for training on hundreds of thousands of rows."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lakehouse.errors import PermanentError

if TYPE_CHECKING:
    from numpy import bool_, float64, int_
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Rows:
    """Named columns of equal length. Grain: key result and as_of, as in ml.key_result_features."""

    columns: Mapping[str, "NDArray[Any]"]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def __getitem__(self, name: str) -> "NDArray[Any]":
        return self.columns[name]

    def numbers(self, name: str) -> "NDArray[float64]":
        """Return a column as floats, with NaN for missing values."""
        import numpy as np

        return np.asarray(self.columns[name], dtype=np.float64)

    def outcomes(self) -> "NDArray[float64]":
        """Return 1.0 for each row whose key result was achieved and 0.0 for the others. Every row must be labelled."""
        import numpy as np

        return self.columns["is_achieved"].astype(np.float64)

    def take(self, selection: "NDArray[bool_] | NDArray[int_] | NDArray[Any]") -> "Rows":
        """Return the rows selected by a mask or by row numbers."""
        return Rows({name: column[selection] for name, column in self.columns.items()})


def rows_of(names: Sequence[str], records: Iterable[Sequence[object]]) -> Rows:
    """Convert the records of a query to columns of Python objects."""
    import numpy as np

    all_records = list(records)
    columns = {}
    for position, name in enumerate(names):
        column = np.empty(len(all_records), dtype=object)
        column[:] = [record[position] for record in all_records]
        columns[name] = column
    return Rows(columns)


def rows_of_mappings(records: Sequence[Mapping[str, object]], needed: Sequence[str]) -> Rows:
    """Convert feature rows from mappings to columns, limited to the needed columns.

    Raises:
        PermanentError: a feature of a row is missing or not a finite number. The message names the feature.
    """
    for number, record in enumerate(records):
        missing = [name for name in needed if name not in record]
        if missing:
            raise PermanentError(
                f"Row {number} lacks the features {', '.join(missing)}. Expected {', '.join(needed)}, "
                "which are columns of ml.key_result_features."
            )
    rows = rows_of(needed, ([record[name] for name in needed] for record in records))
    _check_numbers(rows, needed)
    return rows


def _check_numbers(rows: Rows, names: Sequence[str]) -> None:
    import numpy as np

    for name in names:
        try:
            numbers = rows.numbers(name)
        except (TypeError, ValueError) as error:
            raise PermanentError(f"The feature {name} must be a number in every row: {error}.") from error
        is_missing = np.array([value is None for value in rows[name]], dtype=bool)
        is_invalid = ~np.isfinite(numbers) & ~(is_missing if name in NULLABLE else np.zeros(len(rows), dtype=bool))
        if is_invalid.any():
            raise PermanentError(
                f"The feature {name} must be a finite number, got {rows[name][is_invalid][0]!r} in row "
                f"{int(is_invalid.argmax())}."
            )


NULLABLE = frozenset({"confidence"})
