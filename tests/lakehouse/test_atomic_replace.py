"""A writer killed at any step leaves the old or the new file or folder; the next writer removes drafts."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from lakehouse.atomic_replace import replace_file, replace_folder

KILLED = """
import os, sys, shutil
from pathlib import Path
from lakehouse import atomic_replace
from lakehouse.atomic_replace import replace_file, replace_folder
from tests.faults.fault_injection import after, before, die

place = Path(sys.argv[1])

def build(folder):
    (folder / "a").write_text("new")
    if "half" in sys.argv[2:]:
        die()
    (folder / "b").write_text("new")
"""


def killed(place: Path, code: str, *flags: str) -> None:
    command = [sys.executable, "-c", KILLED + code, str(place), *flags]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == -9, done.stderr


def site(text: str):
    def build(folder: Path) -> str:
        for name in ("a", "b"):
            (folder / name).write_text(text)
        return text

    return build


def shown(place: Path) -> set[str]:
    """Return the content of the folder, which must be complete and of one writer."""
    return {(place / name).read_text() for name in ("a", "b")}


FOLDER_KILLS = {
    "in the middle of the folder": ("replace_folder(place, build)", ("half",), "old"),
    "with the folder built": ("before(atomic_replace, '_link', die); replace_folder(place, build)", (), "old"),
    "with the link made": ("before(Path, 'replace', die); replace_folder(place, build)", (), "old"),
    "with the folder shown": ("after(Path, 'replace', die); replace_folder(place, build)", (), "new"),
}


@pytest.mark.parametrize(("code", "flags", "expected"), FOLDER_KILLS.values(), ids=FOLDER_KILLS)
def test_a_folder_is_complete_wherever_its_writer_is_killed(
    tmp_path: Path, code: str, flags: tuple[str, ...], expected: str
) -> None:
    place = tmp_path / "site"
    replace_folder(place, site("old"))
    killed(place, code, *flags)
    assert shown(place) == {expected}
    assert replace_folder(place, site("next")) == "next"
    assert shown(place) == {"next"}
    left = {each.name for each in tmp_path.iterdir()} - {"site", place.readlink().name}
    assert len(left) <= 1, f"at most the previous folder: {left}"
    assert all(name.startswith(".site-") for name in left)


def test_a_reader_with_a_path_into_the_previous_folder_can_continue(tmp_path: Path) -> None:
    place = tmp_path / "site"
    replace_folder(place, site("old"))
    previous = (place / "a").resolve()
    replace_folder(place, site("new"))
    assert previous.read_text() == "old"


def test_a_folder_of_an_earlier_release_becomes_a_link_and_its_leftovers_are_removed(tmp_path: Path) -> None:
    place = tmp_path / "site"
    for name in ("site", "site.retired"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a").write_text("earlier")
    for text in ("new", "newer"):
        replace_folder(place, site(text))
        assert shown(place) == {text}
    assert len(list(tmp_path.iterdir())) == 3, "the link, its folder, and the previous one"


def test_a_folder_below_a_link_stays_while_the_next_one_is_built(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "state").symlink_to("real")
    place = tmp_path / "state" / "site"
    replace_folder(place, lambda folder: (folder / "page").write_text("old"))
    replace_folder(place, lambda folder: (folder / "page").write_text((place / "page").read_text() + ", new"))
    assert (place / "page").read_text() == "old, new"


def test_leftovers_that_cannot_be_removed_do_not_prevent_a_replacement(tmp_path: Path) -> None:
    place = tmp_path / "site"
    (tmp_path / ".site-notes").write_text("no folder")
    replace_folder(place, site("new"))
    assert shown(place) == {"new"}


def test_a_build_that_fails_changes_nothing(tmp_path: Path) -> None:
    place = tmp_path / "site"
    replace_folder(place, site("old"))

    def fail(folder: Path) -> None:
        (folder / "a").write_text("half")
        raise ValueError("half")

    with pytest.raises(ValueError, match="half"):
        replace_folder(place, fail)
    assert shown(place) == {"old"}
    assert len(list(tmp_path.iterdir())) == 2


def test_two_writers_of_a_folder_take_turns(tmp_path: Path) -> None:
    """For example when Airflow considers a running attempt dead."""
    place, at_work, most = tmp_path / "site", [], []

    def build(folder: Path) -> None:
        at_work.append(folder)
        most.append(len(at_work))
        time.sleep(0.05)
        site("new")(folder)
        at_work.remove(folder)

    writers = [threading.Thread(target=replace_folder, args=(place, build)) for _ in range(4)]
    for each in writers:
        each.start()
    for each in writers:
        each.join(20)
    assert (most, shown(place)) == ([1, 1, 1, 1], {"new"})


FILE_KILLS = {
    "before it is written": ("before(os, 'fsync', die)", "old"),
    "with its draft written": ("before(Path, 'replace', die)", "old"),
    "in place": ("after(Path, 'replace', die)", "new"),
}


@pytest.mark.parametrize(("code", "expected"), FILE_KILLS.values(), ids=FILE_KILLS)
def test_a_file_is_complete_wherever_its_writer_is_killed(tmp_path: Path, code: str, expected: str) -> None:
    place = tmp_path / "file.json"
    replace_file(place, "old" * 10)
    killed(place, f"{code}; replace_file(place, 'new' * 10)")
    assert place.read_text() == expected * 10
    replace_file(place, "x", mode=0o600)
    assert place.read_text() == "x"
    assert [each.name for each in tmp_path.iterdir()] == ["file.json"]


def test_concurrent_writers_leave_the_complete_text_of_one(tmp_path: Path) -> None:
    place, texts = tmp_path / "file", [letter * 50_000 for letter in "abcdef"]
    writers = [
        threading.Thread(target=lambda text=text: [replace_file(place, text) for _ in range(20)]) for text in texts
    ]
    for each in writers:
        each.start()
    while any(each.is_alive() for each in writers):
        if place.exists():
            assert place.read_text() in texts
    assert place.read_text() in texts


def test_a_file_is_readable_by_all_and_writable_by_its_owner_by_default(tmp_path: Path) -> None:
    place = tmp_path / "file"
    before = os.umask(0)
    try:
        replace_file(place, "text")
    finally:
        os.umask(before)
    assert place.stat().st_mode & 0o777 == 0o644


def test_a_file_that_cannot_be_written_stays_as_it_was(tmp_path: Path) -> None:
    place = tmp_path / "file"
    replace_file(place, "old", mode=0o600)
    assert place.stat().st_mode & 0o777 == 0o600
    with pytest.raises(UnicodeEncodeError):
        replace_file(place, "\ud800")
    assert place.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1
