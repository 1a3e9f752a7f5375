"""The benchmark on folders of a simulated organisation, and on folders that cannot be forecast."""

import csv
import subprocess
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from ingestion.sources.okr_files.csv_format import CHECK_INS, FINAL_NOTE, KEY_RESULTS
from ingestion.sources.simulator import organisation, scale_of
from ingestion.sources.simulator.csv_files import write_files
from ml.forecast_csv import HEADER
from tests.okr_command import OKR

AS_OF = datetime(2025, 11, 15, tzinfo=UTC)
pytestmark = pytest.mark.timeout(600)

Done = subprocess.CompletedProcess[str]


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small organisation with closed cycles, a running one, and a check-in an hour after a final value."""
    folder = tmp_path_factory.mktemp("simulated")
    write_files(organisation(7, scale_of("small")), AS_OF, folder)
    ends = {row["key_result_id"]: row["cycle_end"] for row in read(folder / KEY_RESULTS.name)}
    last = max(end for end in ends.values() if end < f"{AS_OF:%Y-%m-%d}")
    check_ins = read(folder / CHECK_INS.name)
    final = next(row for row in check_ins if row["note"] == FINAL_NOTE and ends[row["key_result_id"]] == last)
    final["checked_in_at"] = f"{last}T22:00:00Z"
    write(folder / CHECK_INS.name, [*check_ins, final | {"checked_in_at": f"{last}T23:00:00Z", "note": ""}])
    return folder


def closed(check_ins: Path) -> set[str]:
    return {row["key_result_id"] for row in read(check_ins) if row["note"] == FINAL_NOTE}


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the results."""
    return tmp_path_factory.mktemp("results") / "new" / "folder"


@pytest.fixture(scope="module")
def done(folder: Path, out: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Done]:
    """The benchmark of a missing folder, of one with a single cycle, of a malformed one, and of the simulated one."""
    bad = tmp_path_factory.mktemp("bad")
    first = min(row["cycle_start"] for row in read(folder / KEY_RESULTS.name))
    kept = [row for row in read(folder / KEY_RESULTS.name) if row["cycle_start"] == first]
    ids = {row["key_result_id"] for row in kept}
    check_ins = [row for row in read(folder / CHECK_INS.name) if row["key_result_id"] in ids]
    for name in ("one_cycle", "malformed"):
        (bad / name).mkdir()
        write(bad / name / KEY_RESULTS.name, kept)
        write(bad / name / CHECK_INS.name, check_ins)
    (bad / "malformed" / CHECK_INS.name).write_text("when,what\n2025-01-01,5\n", encoding="utf-8")
    (out / "last_two_cycles").mkdir(parents=True)
    (out / "one_cycle.csv").write_text("of an earlier run\n", encoding="utf-8")
    folders = [bad / "missing", bad / "one_cycle", bad / "malformed", folder]
    command = [OKR, "forecast", "benchmark", *folders, "--out", out]
    return subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)


def test_folders_that_cannot_be_forecast_are_reported_and_skipped(done: Done, folder: Path, out: Path) -> None:
    assert done.returncode == 1, done.stderr
    lines = done.stderr.splitlines()
    assert "1/4 missing: not forecast. " in lines[0]
    assert "is not a folder. Expected a folder with key_results.csv and check_ins.csv." in lines[0]
    assert "2/4 one_cycle: not forecast. A benchmark needs at least two cycles" in lines[1]
    assert "found 1" in lines[1]
    assert "3/4 malformed: not forecast. " in lines[2]
    assert lines[3].startswith(f"4/4 {folder.name}: ")
    assert lines[4].startswith("okr: 3 of 4 folders could not be forecast: missing, one_cycle, malformed.")
    assert {path.name for path in out.iterdir()} == {f"{folder.name}.csv", "benchmark.md", "last_two_cycles"}


def test_every_check_in_from_the_second_cycle_on_is_forecast_once(done: Done, folder: Path, out: Path) -> None:
    key_results = read(folder / KEY_RESULTS.name)
    cycle = {row["key_result_id"]: row["cycle_start"] for row in key_results}
    running = {row["key_result_id"] for row in key_results if row["cycle_end"] >= f"{AS_OF:%Y-%m-%d}"}
    assert running
    assert len(cycle) == len(key_results)
    due = [
        (row["key_result_id"], row["checked_in_at"])
        for row in read(folder / CHECK_INS.name)
        if row["note"] != FINAL_NOTE
        and cycle[row["key_result_id"]] > min(cycle.values())
        and row["key_result_id"] in closed(folder / CHECK_INS.name) | running
    ]
    lines = read(out / f"{folder.name}.csv")
    assert tuple(lines[0]) == HEADER
    assert [(line["key_result_id"], line["as_of"]) for line in lines] == sorted(due)
    assert all(0 <= float(line["low"]) <= float(line["high"]) <= 1 for line in lines)
    assert all(0 <= float(line["probability"]) <= 1 for line in lines)


def test_the_second_file_has_the_last_two_closed_cycles(done: Done, folder: Path, out: Path) -> None:
    ended = {
        row["key_result_id"]: row["cycle_start"]
        for row in read(folder / KEY_RESULTS.name)
        if date.fromisoformat(row["cycle_end"]) < AS_OF.date() - timedelta(days=1)
    }
    lines = {(line["key_result_id"], line["as_of"]): line for line in read(out / f"{folder.name}.csv")}
    last = read(out / "last_two_cycles" / f"{folder.name}.csv")
    assert all(lines[line["key_result_id"], line["as_of"]] == line for line in last)
    last_two = sorted(set(ended.values()))[-2:]
    assert {ended[line["key_result_id"]] for line in last} == set(last_two)
    assert len(last) == sum(ended.get(key_result_id) in last_two for key_result_id, _ in lines)


def test_the_report_compares_the_model_with_its_rivals(done: Done, folder: Path, out: Path) -> None:
    report = (out / "benchmark.md").read_text(encoding="utf-8")
    rows = [line.strip("| ").split(" | ") for line in report.splitlines() if line.startswith(f"| {folder.name}")]
    names = ["model", "prior", "pacing rule", "base rate", "random walk", "logistic regression"]
    assert [row[1] for row in rows] == names * 2
    brier = {row[1]: float(row[3]) for row in rows[: len(names)]}
    assert 0 < brier["model"] < brier["base rate"]
    coverage = {row[1]: row[6] for row in rows[: len(names)]}
    assert coverage["base rate"] == "-"
    assert 0 < float(coverage["random walk"]) <= 1
    assert "| mean | model |" in report
    assert f"- {folder.name}: 1 check-ins without features were forecast by the base rate" in report
    assert "- missing: not forecast. " in report


def test_folders_of_the_same_name_are_rejected_before_anything_is_written(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / folder.name
    other.mkdir()
    command = [OKR, "forecast", "benchmark", folder, other, "--out", tmp_path / "out"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert f"{folder} and {other} are both named" in done.stderr
    assert not (tmp_path / "out").exists()
