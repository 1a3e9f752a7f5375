"""Conventions of the DAG files: Airflow loads them without errors, and each is short, documented and free of logic."""

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag

DAGS = Path(__file__).parents[2] / "dags"
FILES = sorted(DAGS.glob("*_dag.py"))
LONGEST = 100
LOGIC = re.compile(
    r"\b(?:SELECT|INSERT|UPDATE|DELETE)\s|\bpandas\b|\bpolars\b|\bpyarrow\b|\bpsycopg\b|DataFrame", re.IGNORECASE
)


@pytest.fixture(scope="module")
def dag_bag(airflow_home: Path) -> "DagBag":
    """All DAGs as the DAG processor loads them."""
    from airflow.dag_processing.dagbag import DagBag

    found = DagBag(DAGS)
    assert all(dag.tasks for dag in found.dags.values())
    assert len(found.dags) > 3
    return found


def test_airflow_reads_every_dag_without_error(dag_bag: "DagBag") -> None:
    assert dag_bag.import_errors == {}
    assert FILES, "No DAG file was found: this test looks in the wrong place."
    assert set(dag_bag.dags) == {file.stem for file in FILES}


def test_every_dag_documents_its_purpose_its_owner_and_what_to_do_when_it_fails(dag_bag: "DagBag") -> None:
    for dag in dag_bag.dags.values():
        for heading in ("**Purpose**", "**Owner**", "**When it fails**"):
            assert heading in (dag.doc_md or ""), f"{dag.dag_id}: doc_md lacks {heading}"
        assert dag.owner != "airflow", f"{dag.dag_id} has no owner"
        for task in dag.tasks:
            assert f"`{task.task_id}`" in (dag.doc_md or ""), (
                f"{dag.dag_id}: doc_md does not say what to do about {task.task_id}"
            )


def test_every_dag_runs_once_at_a_time_without_catchup_and_every_task_has_a_time_limit(dag_bag: "DagBag") -> None:
    for dag in dag_bag.dags.values():
        assert (dag.max_active_runs, dag.catchup) == (1, False), dag.dag_id
        assert dag.dagrun_timeout is not None, dag.dag_id
        assert all(task.execution_timeout for task in dag.tasks), dag.dag_id


def test_every_task_is_recorded_whether_it_succeeds_or_fails(dag_bag: "DagBag") -> None:
    from dags.steps.step_events import record_failure, record_success

    for dag in dag_bag.dags.values():
        for task in dag.tasks:
            assert record_success in as_list(task.on_success_callback), task.task_id
            assert record_failure in as_list(task.on_failure_callback), task.task_id


def test_every_task_is_killed_at_each_of_its_points_by_a_fault_test(dag_bag: "DagBag") -> None:
    """A new task needs a fault test that names the points at which a kill leaves incomplete work, and the result."""
    from tests.faults import test_lake_step_kills, test_model_step_kills, test_step_kills

    points = (*test_step_kills.KILLS, *test_lake_step_kills.KILLS, *test_model_step_kills.KILLS)
    tasks = {task.task_id for dag in dag_bag.dags.values() for task in dag.tasks}
    assert {point.partition(":")[0] for point in points} == tasks


def test_only_landed_user_events_and_the_schedule_start_the_etl(dag_bag: "DagBag") -> None:
    landed = dag_bag.dags["okr_etl_dag"].timetable.asset_condition.objects
    assert [(asset.name, asset.uri) for asset in landed] == [("okr_user_events_landed", "okr://lake/okr_user_events")]
    for dag_id in ("model_training_dag", "data_quality_dag", "catch_up_dag"):
        assert not getattr(dag_bag.dags[dag_id].timetable.asset_condition, "objects", None), dag_id


def test_marts_are_published_only_after_their_gate(dag_bag: "DagBag") -> None:
    dag = dag_bag.dags["okr_etl_dag"]
    assert "gate_raw" in ancestors(dag, "load")
    assert {"gate_raw", "load", "dbt", "gate_marts"} == ancestors(dag, "publish")
    assert {task.trigger_rule for task in dag.tasks} == {"all_success"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_dag_file_is_short_and_has_no_logic(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LONGEST
    assert not logic_in(text), f"{file.name}: SQL, data frames and rules belong into the packages"


@pytest.mark.parametrize(
    "code",
    ['rows = ask("select 1")', 'SQL = """\nDELETE FROM t\n"""', "import polars as pl", "from pandas import DataFrame"],
)
def test_logic_in_a_dag_file_is_detected(code: str) -> None:
    assert not logic_in('"""How to select a row by hand."""\n')
    assert logic_in(f'"""What it is for."""\n\n{code}\n')


def logic_in(text: str) -> list[str]:
    """Return what looks like logic in a module, apart from its docstring."""
    module = ast.parse(text)
    docstring = ast.get_docstring(module, clean=False) or ""
    return LOGIC.findall(text.replace(docstring, "", 1))


def test_nothing_in_the_dags_folder_shadows_a_package() -> None:
    names = {path.stem for path in DAGS.iterdir() if path.suffix == ".py" or path.is_dir()} - {"__pycache__"}
    packages = {path.parent.name for path in DAGS.parent.glob("*/__init__.py")} - {"dags"}
    assert {"steps", "okr_etl_dag"} <= names
    assert {"ingestion", "lakehouse"} <= packages
    assert not names & (packages | {"cosmos", "dbt", "airflow", "great_expectations"})


def as_list(value: object) -> list[object]:
    return list(value) if isinstance(value, list | tuple) else [value]


def ancestors(dag: object, task_id: str) -> set[str]:
    return {task.task_id for task in dag.get_task(task_id).get_flat_relatives(upstream=True)}  # type: ignore[attr-defined]
