"""The dbt project as tasks: built by Cosmos in the task's own process, documented when it changed."""

import gc
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cosmos import ProfileConfig
from cosmos.constants import InvocationMode
from cosmos.dbt.project import change_working_directory, environ
from cosmos.operators.local import DbtBuildLocalOperator

from dags.steps.build_lock import build_id, hold_build_lock
from dags.steps.dbt_docs import fingerprint
from dags.steps.dbt_manifest import PROJECT, manifest
from dags.steps.models_to_rebuild import models_to_rebuild
from dags.steps.task_adapter import report_rows, say, started_by_asset, step, try_number
from lakehouse.marts_build import begin_with, counts_other_events, finish_build, prepare_build
from lakehouse.settings import Settings, load_settings
from lakehouse.warehouse import dbt_environment

if TYPE_CHECKING:
    from airflow.sdk import Context

RESULTS = "run_results.json"
PROFILE = ProfileConfig(
    profile_name="okr_lakehouse", target_name="build", profiles_yml_filepath=PROJECT / "profiles.yml"
)


class DbtBuild(DbtBuildLocalOperator):  # type: ignore[misc]
    """`dbt build` of all models with their data tests, in one invocation and in the task's own process.

    A task for each model (Cosmos' WATCHER, 39 tasks) took more than 80 s where this takes 16 s, on two busy cores: the
    warehouse then waits for Airflow. Unit tests judge the code, not the data: `make test` runs them.
    """

    def execute(self, context: "Context", **kwargs: Any) -> str:
        """Build with the transform role's login, in the environment of this process alone; return the build's id.

        It begins with empty schemas, so that what a try before left there does not matter. dbt's target folder is kept
        between runs: what it parsed need not be parsed again.
        """
        settings = load_settings()
        dsn, build = settings.require("dsn_transform"), build_id()
        target = settings.dbt_target_dir.absolute()
        target.mkdir(parents=True, exist_ok=True)
        os.environ |= dbt_environment(settings) | {"DBT_TARGET_PATH": str(target), "DBT_LOG_PATH": str(target)}
        with hold_build_lock(dsn):
            self._selection = _begin(settings, build)
            super().execute(context, **kwargs)
            if self._selection and counts_other_events(dsn):
                say("The new events change which events count: everything is built.")
                self._selection = _begin_with_nothing(settings, build)
                super().execute(context, **kwargs)
            finish_build(dsn, build)
            _report(target / RESULTS)
        return build

    def run_dbt_runner(self, command: list[str], env: dict[str, str], cwd: str, **_: Any) -> Any:
        """Begin with what was parsed before the fork, and leave Python's garbage collector little to do.

        A build lasts seconds and its process ends with it; the collector took a quarter of dbt's own time. Of what dbt
        writes at its end only the results are new: the manifest was written when the project was parsed.
        """
        from dbt.adapters.factory import reset_adapters
        from dbt.artifacts.schemas.run import RunExecutionResult
        from dbt.cli.main import dbtRunner

        known = manifest(load_settings())
        gc.freeze()
        gc.set_threshold(200_000, 50, 50)
        flags = ["--no-write-json"] if known else []
        with change_working_directory(cwd), environ(env):
            ended = dbtRunner(manifest=known).invoke([*command[1:], *flags, *self._selection])
        if flags and isinstance(ended.result, RunExecutionResult):
            ended.result.write(f"{env['DBT_TARGET_PATH']}/{RESULTS}")
        reset_adapters()
        return ended

    def calculate_openlineage_events_completes(self, *_: Any, **__: Any) -> bool:
        """Derive no lineage of what was built: nobody reads it here, and every publication would wait for it."""
        return False


def _begin(settings: Settings, build: str) -> list[str]:
    """Prepare the build schemas; return how dbt is told what is built: everything, or what may differ from before.

    A run that no landing started builds everything, so that no day's marts rest on those of the day before, and so does
    a task that is tried again.
    """
    dsn, parsed = settings.require("dsn_transform"), manifest(settings)
    basis = prepare_build(dsn, build, project=fingerprint(PROJECT))
    if basis is None or parsed is None or not started_by_asset() or try_number() > 1:
        return []  # all
    names = models_to_rebuild(parsed, basis.changed)
    begin_with(dsn, basis.publication_id, names)
    say(f"Of publication {basis.publication_id} what no new event changes is kept; {len(names)} models are built.")
    return ["--select", *names]


def _begin_with_nothing(settings: Settings, build: str) -> list[str]:
    prepare_build(settings.require("dsn_transform"), build, project=fingerprint(PROJECT))
    return []


def build() -> DbtBuild:
    """Return the task that builds the models."""
    return DbtBuild(
        task_id="dbt",
        project_dir=PROJECT,
        profile_config=PROFILE,
        invocation_mode=InvocationMode.DBT_RUNNER,
        # A log of every statement took a quarter of dbt's own time.
        dbt_cmd_flags=["--exclude-resource-type", "unit_test", "--log-level-file", "warn"],
        install_deps=False,
        emit_datasets=False,
        should_store_compiled_sql=False,
        retries=1,  # for a warehouse that restarts; a model that is wrong stays wrong
    )


def _report(run_results: Path) -> None:
    results = json.loads(run_results.read_text(encoding="utf-8"))["results"]
    models = [result for result in results if result["unique_id"].startswith("model.")]
    tests = sum(result["unique_id"].startswith("test.") for result in results)
    rows = sum(max(result["adapter_response"].get("rows_affected") or 0, 0) for result in models)
    report_rows(rows)
    say(f"Built {len(models)} models, {rows} rows; {tests} data tests passed.")


@step
def document() -> bool:
    """Renew the dbt docs site when the project changed since it was made; return whether it did.

    `publish` leaves this step out where it is current; whoever clears the step alone may find it so, too.
    """
    from dags.steps.dbt_docs import is_current, renew

    settings = load_settings()
    site = settings.sites_dir.absolute() / "catalog"
    if is_current(PROJECT, site):
        return False
    renew(PROJECT, site, dbt_environment(settings))
    return True
