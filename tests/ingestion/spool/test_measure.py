"""The spools of all services of a server, each in its own folder, as metrics."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ingestion.contract_validation import EncodedEvent
from ingestion.sources.metrics.metric_files import metrics_in_files
from ingestion.spool import Limits, Spool
from ingestion.spool.measure import spools_of_services, write_metrics
from lakehouse.errors import PermanentError
from lakehouse.settings import Settings
from tests.ingestion.spool.test_commands import run

Events = Callable[[int], EncodedEvent]


def spool(folder: Path, service: str, source: str) -> Spool:
    return Spool(folder / service / "spool", source)


def test_the_spools_of_all_services_are_measured(tmp_path: Path, check_in: Events) -> None:
    api = spool(tmp_path, "api", "okr-api")  # stays open, as in a service that runs
    places = api.append([check_in(number) for number in range(3)])
    api.settle([], {places[0]: "refused"})
    for service in ("airflow", "operator"):  # closed, as of a process that ended
        left = spool(tmp_path, service, "okr-files")
        left.append([check_in(1)])
        left.close()
    spool(tmp_path, "metrics", "okr-metrics").append([check_in(1)])
    states = spools_of_services(tmp_path, Limits(events=10))
    assert {name: (state.waiting, state.rejected) for name, state in states.items()} == {
        "okr-api": (2, 1), "okr-files": (2, 0)
    }  # fmt: skip
    assert states["okr-api"].fill_ratio == pytest.approx(0.3)
    write_metrics(tmp_path, states)
    read = {(each.name, each.labels["spool"]): each.value for each in metrics_in_files(tmp_path)}
    assert read["okr_spool_waiting_events", "okr-files"] == 2
    assert read["okr_spool_rejected_events", "okr-api"] == 1
    assert 0 <= read["okr_spool_oldest_seconds", "okr-files"] < 60


def test_measuring_writes_nothing_into_the_folders_of_services(tmp_path: Path, check_in: Events) -> None:
    left = spool(tmp_path, "operator", "okr-files")
    left.append([check_in(1)])
    left.close()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "operator").rglob("*")}
    assert spools_of_services(tmp_path, Limits())["okr-files"].waiting == 1
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "operator").rglob("*") if path.is_file()}
    assert after == {path: at for path, at in before.items() if path.is_file()}


def test_a_damaged_spool_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "api" / "spool" / "okr-api.spool"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"no database" * 1_000)
    with pytest.raises(PermanentError, match="is damaged"):
        spools_of_services(tmp_path, Limits())


def test_the_command_writes_the_file_that_the_collector_reads(tmp_path: Path, check_in: Events) -> None:
    spool(tmp_path, "operator", "okr-files").append([check_in(1)])
    settings = Settings(state=tmp_path, metrics_dir=tmp_path)
    done = run(settings, "measure", "--folder", str(tmp_path))
    assert done.stdout == f"{tmp_path}/spools.prom has 1 spools.\n", done.stderr
    away = run(settings.model_copy(update={"metrics_dir": tmp_path / "absent"}), "measure", "--folder", str(tmp_path))
    assert away.returncode == 1
    assert "Expected OKR_METRICS_DIR" in away.stderr
