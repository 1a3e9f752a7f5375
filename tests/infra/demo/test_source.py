import pytest

from infra.demo.source import fingerprint, move_away, open_source, read_record, write_record
from infra.demo.warehouse import covers
from lakehouse.errors import PermanentError


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "our history"
    place.mkdir()
    (place / "key_results.csv").write_text("a\n")
    (place / "check_ins.csv").write_text("b\n")
    return place


def test_a_missing_file_is_reported_with_its_name_and_the_fix(folder):
    (folder / "check_ins.csv").unlink()
    with pytest.raises(PermanentError, match=r"does not contain check_ins.csv.*okr simulate"):
        open_source(folder, "default")


def test_a_state_folder_records_the_source_of_its_history(folder, tmp_path):
    ours = open_source(folder, "default")
    assert read_record(tmp_path) is None
    write_record(tmp_path, ours, {"sent": {}})
    assert read_record(tmp_path)["source"] == ours.identity != open_source(None, "small").identity


def test_a_changed_file_changes_the_fingerprint(folder):
    ours = open_source(folder, "default")
    before = fingerprint(ours)
    (folder / "check_ins.csv").write_text("c\n")
    assert fingerprint(ours) != before


def test_the_state_of_another_organisation_is_moved_away(folder, tmp_path):
    state = tmp_path / "state"
    state.mkdir()
    write_record(state, open_source(folder, "default"), None)
    moved = move_away(state, read_record(state))
    assert not state.exists()
    assert read_record(moved)["source"].endswith("our history")


def test_a_damaged_record_is_reported(tmp_path):
    (tmp_path / "demo.json").write_text("{")
    with pytest.raises(PermanentError, match=r"demo\.json is damaged"):
        read_record(tmp_path)


@pytest.mark.parametrize(
    ("published", "is_covered"),
    [({"t": {"0": 3, "1": 2}}, True), ({"t": {"0": 3, "1": 1}}, False), ({}, False)],
)
def test_a_publication_covers_the_sum_of_its_partitions(published, is_covered):
    assert covers(published, {"t": 5}) is is_covered
