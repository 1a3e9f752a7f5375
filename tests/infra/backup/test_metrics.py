"""The metrics file of backups."""

from pathlib import Path

from infra.backup.metrics import Metrics


def test_a_failure_keeps_the_time_of_the_last_success_and_other_parts(tmp_path: Path) -> None:
    first = Metrics(tmp_path, tmp_path / "metrics")
    first.succeeded("lake", 1_000)
    first.succeeded("postgres", 2_000)
    first.verified("lake")
    first.write()
    second = Metrics(tmp_path, tmp_path / "metrics")
    second.failed("lake")
    second.write()
    lines = (tmp_path / "metrics" / "backup.prom").read_text(encoding="utf-8").splitlines()
    assert 'okr_backup_last_result{part="lake"} 0' in lines
    assert 'okr_backup_last_result{part="postgres"} 1' in lines
    assert 'okr_backup_size_bytes{part="lake"} 1000' in lines
    for name in ("last_success", "last_verified"):
        assert any(line.startswith(f'okr_backup_{name}_timestamp_seconds{{part="lake"}} 1') for line in lines)
    assert lines.count("# TYPE okr_backup_last_result gauge") == 1


def test_a_check_that_ends_during_a_backup_is_not_forgotten(tmp_path: Path) -> None:
    backup, check = Metrics(tmp_path, tmp_path), Metrics(tmp_path, tmp_path)
    check.verified("lake")
    check.write()
    backup.succeeded("lake", 1)
    backup.write()
    text = (tmp_path / "backup.prom").read_text(encoding="utf-8")
    assert 'okr_backup_last_verified_timestamp_seconds{part="lake"} 1' in text
    assert 'okr_backup_last_success_timestamp_seconds{part="lake"} 1' in text


def test_a_metrics_file_that_cannot_be_written_fails_no_backup(tmp_path: Path) -> None:
    (tmp_path / "metrics").touch()
    metrics = Metrics(tmp_path, tmp_path / "metrics")
    metrics.succeeded("lake", 1)
    metrics.write()
    assert (tmp_path / "metrics").read_bytes() == b""
