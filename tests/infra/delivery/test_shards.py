import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PROGRAM = ROOT / ".ci" / "shard"


def test_every_test_file_is_in_exactly_one_part():
    shards = [subprocess.check_output([PROGRAM, f"{part}/6"], text=True).split() for part in range(1, 7)]
    together = [file for shard in shards for file in shard]
    expected = {
        str(file.relative_to(ROOT))
        for file in (ROOT / "tests").rglob("test_*.py")
        if file.relative_to(ROOT / "tests").parts[0] not in {"faults", "ops", "benchmarks"}
    }
    assert len(together) == len({*together})
    assert {*together} == expected
    assert all(shards)


@pytest.mark.parametrize("part", ["", "0/6", "7/6", "x", "1/"])
def test_another_part_is_refused(part):
    done = subprocess.run([PROGRAM, part], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Expected a part" in done.stderr


def test_make_runs_nothing_if_the_part_is_wrong():
    done = subprocess.run(
        ["make", "-n", "test", "SHARD=2/6"], cwd=ROOT, capture_output=True, text=True, check=True
    )  # fmt: skip
    assert "files=$(.ci/shard 2/6) && .venv/bin/pytest" in done.stdout
