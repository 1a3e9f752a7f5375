"""The history of deployments after a full disk."""

from pathlib import Path

from infra.deploy.journal import DONE, Entry, Journal


def test_a_line_that_was_cut_off_hides_no_other(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.end(Entry("1.0", None, "release"), DONE)
    with (tmp_path / "history.jsonl").open("a", encoding="utf-8") as history:
        history.write('{"release": "1.1", "prev')
    newest = journal.last_line()
    assert newest is not None
    assert newest.release == "1.0"
    journal.end(Entry("1.2", "1.0", "release"), DONE)
    newest = journal.last_line()
    assert newest is not None
    assert newest.release == "1.2"


def test_a_history_without_a_complete_line_is_empty(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    assert journal.last_line() is None
    (tmp_path / "history.jsonl").write_text('{"release"', encoding="utf-8")
    assert journal.last_line() is None
