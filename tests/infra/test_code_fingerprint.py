from pathlib import Path

import pytest

from infra.local.code_fingerprint import fingerprint
from infra.local.executables import ROOT
from infra.local.services import SERVICES
from infra.local.stack import prepare_stack


def test_a_fingerprint_changes_only_with_the_code_of_its_service(tmp_path: Path) -> None:
    stack = prepare_stack(tmp_path / "state")
    root = tmp_path / "project"
    for name in ("lakehouse/lake.py", "serving/app.py", "dags/etl.py", "dags/__pycache__/etl.pyc"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("before")

    def fingerprints() -> dict[str, str]:
        return {kind.name: fingerprint(kind(stack), root) for kind in SERVICES}

    before = fingerprints()
    (root / "dags/__pycache__/etl.pyc").write_text("after")
    assert fingerprints() == before
    (root / "serving/app.py").write_text("after")
    assert {name for name, now in fingerprints().items() if now != before[name]} == {"api"}
    before = fingerprints()
    (root / "dags/schedule.py").touch()
    assert {name for name, now in fingerprints().items() if now != before[name]} == {
        name for name in before if name.startswith("airflow-")
    }


@pytest.mark.parametrize("kind", SERVICES)
def test_the_code_that_a_service_names_exists(kind: type) -> None:
    assert kind.code
    assert [path for path in kind.code if not (ROOT / path).exists()] == []
