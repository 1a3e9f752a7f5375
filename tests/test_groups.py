"""Tests that share expensive fixtures run on one worker; otherwise each worker would start the whole stack."""

import pytest

from tests.conftest import SHARED_FIXTURES, group_of


@pytest.mark.parametrize("folder", SHARED_FIXTURES)
def test_a_folder_with_expensive_fixtures_is_one_group(folder: str, request: pytest.FixtureRequest) -> None:
    names = (f"tests/{folder}/test_one.py::test_a[x/y::z]", f"tests/{folder}/deep/test_two.py::test_b")
    assert {group_of(name) for name in names} == ({"serving", "serving/folders"} if folder == "serving" else {folder})
    assert (request.config.rootpath / "tests" / folder).is_dir()


def test_elsewhere_a_file_is_one_group() -> None:
    names = (f"tests/lakehouse/test_{file}.py::test_{test}" for file in "ab" for test in "xy")
    assert {group_of(name) for name in names} == {"lakehouse/test_a.py", "lakehouse/test_b.py"}
