import csv
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from lakehouse.errors import TOO_LITTLE_DATA, PermanentError
from ml.backtest import backtest
from ml.feature_rows import Rows
from ml.fit_model import InsufficientData
from ml.forecast_csv import HEADER, write_forecasts
from ml.hyperparameters import Hyperparameters
from ml.train_test_split import closed_periods, labelled, periods_of


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_each_check_in_of_the_last_two_closed_cycles_is_forecast_once(
    history: Rows, hyperparameters: Hyperparameters, tmp_path: Path
) -> None:
    out = tmp_path / "forecasts.csv"
    rows = write_forecasts(backtest(history, hyperparameters), out)
    asked = np.isin(periods_of(history), closed_periods(history)[-2:]) & labelled(history)
    due = history.take(asked & (history["as_of_kind"] == "check_in"))
    lines = read(out)
    assert tuple(lines[0]) == HEADER
    assert rows == len(lines) == len(due)
    assert {(line["key_result_id"], datetime.fromisoformat(line["as_of"])) for line in lines} == set(
        zip(due["key_result"], due["as_of"], strict=True)
    )
    assert all(0 <= float(line["low"]) <= float(line["high"]) <= 1 for line in lines)
    assert all(line["as_of"].endswith("Z") for line in lines)


def test_forecasts_of_a_cycle_do_not_change_when_later_cycles_are_cut_away(
    history: Rows, hyperparameters: Hyperparameters
) -> None:
    fourth = closed_periods(history)[3]
    name = str(history["cycle_name"][periods_of(history) == fourth][0])
    cut = datetime.combine(fourth.end, datetime.min.time(), tzinfo=UTC)
    earlier = history.take(np.array([moment is not None and moment <= cut for moment in history["known_at"]]))
    unknown = np.array([moment is None or moment > cut for moment in earlier["outcome_known_at"]])
    columns = dict(earlier.columns)
    for column in ("outcome_known_at", "final_score", "is_achieved", "final_progress"):
        columns[column] = np.where(unknown, None, columns[column])
    before = {line[:2]: line for line in backtest(Rows(columns), hyperparameters, [name])}
    after = {line[:2]: line for line in backtest(history, hyperparameters, [name])}
    assert len(after) > 100
    assert all(before[key] == line for key, line in after.items() if key in before)
    assert len(set(after) - set(before)) < len(after) / 10


def test_unknown_and_first_cycles_are_rejected(history: Rows, hyperparameters: Hyperparameters) -> None:
    with pytest.raises(PermanentError, match=r"No check-in belongs to .* 2099-Q1. Cycles with check-ins: 2024-Q4"):
        list(backtest(history, hyperparameters, ["2099-Q1"]))
    with pytest.raises(InsufficientData, match="No cycle had closed"):
        list(backtest(history, hyperparameters, ["2024-Q4"]))


def test_without_closed_cycles_nothing_is_written(
    history: Rows, hyperparameters: Hyperparameters, tmp_path: Path
) -> None:
    out = tmp_path / "forecasts.csv"
    none_closed = history.take(~labelled(history))
    with pytest.raises(InsufficientData, match="at least two closed cycles"):
        write_forecasts(backtest(none_closed, hyperparameters), out)
    assert list(tmp_path.iterdir()) == []


LINE = ("kr", "2026-01-01T00:00:00Z", 0.5, 0.25, 0.75)


def test_a_missing_folder_is_reported_before_anything_is_forecast(tmp_path: Path) -> None:
    lines = iter([LINE])
    with pytest.raises(PermanentError, match="cannot be written: No such file or directory"):
        write_forecasts(lines, tmp_path / "nowhere" / "forecasts.csv")
    assert list(lines) == [LINE]


KILLED = f"""
import sys
from pathlib import Path
from ml.forecast_csv import write_forecasts
from tests.faults.fault_injection import die

def lines():
    yield {LINE}
    die()

write_forecasts(lines(), Path(sys.argv[1]))
"""


def test_a_killed_backtest_leaves_the_earlier_file_and_no_other(tmp_path: Path) -> None:
    out = tmp_path / "forecasts.csv"
    assert write_forecasts(iter([LINE]), out) == 1
    killed = subprocess.run([sys.executable, "-c", KILLED, str(out)], capture_output=True, timeout=60, check=False)
    assert killed.returncode == -9, killed.stderr
    assert list(tmp_path.iterdir()) == [out]
    assert [line["key_result_id"] for line in read(out)] == ["kr"]


def test_too_few_closed_key_results_are_reported_in_one_line_with_their_own_exit_status(
    history: Rows, hyperparameters: Hyperparameters, tmp_path: Path
) -> None:
    few = history.take(np.isin(history["key_result"].astype(str), sorted(set(history["key_result"]))[:12]))
    with pytest.raises(InsufficientData, match=r"at least|No cycle had closed") as caught:
        write_forecasts(backtest(few, hyperparameters), tmp_path / "forecasts.csv")
    assert "\n" not in str(caught.value)
    assert caught.value.exit_status == TOO_LITTLE_DATA
    assert list(tmp_path.iterdir()) == []
