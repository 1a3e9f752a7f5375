"""Starts of services are counted in a file for Prometheus, whatever happens to the file."""

from pathlib import Path

from infra.local.service_starts import count_start
from infra.local.stack import Stack


def test_each_start_is_counted_and_a_damaged_file_begins_again(tmp_path: Path) -> None:
    stack, file = Stack(tmp_path, {}), tmp_path / "metrics" / "starts-land.prom"
    for _ in range(3):
        count_start(stack, "land")
    assert file.read_text().splitlines()[-1] == 'okr_service_starts_total{unit="land"} 3'
    file.write_text("damaged")
    count_start(stack, "land")
    assert file.read_text().splitlines()[-1] == 'okr_service_starts_total{unit="land"} 1'


def test_a_file_that_cannot_be_written_does_not_prevent_the_start(tmp_path: Path) -> None:
    (tmp_path / "metrics").write_text("not a folder")
    count_start(Stack(tmp_path, {}), "land")
    assert (tmp_path / "metrics").read_text() == "not a folder"
