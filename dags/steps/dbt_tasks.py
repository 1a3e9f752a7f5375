"""The dbt tasks: `dbt build`, which Cosmos runs in the task's process, and the update of the docs site."""

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
from lakehouse.publishing.marts_build import copy_unchanged_marts, finish_build, prepare_build, withheld_events_changed
from lakehouse.settings import Settings, load_settings
from lakehouse.warehouse import dbt_environment

if TYPE_CHECKING:
    from airflow.sdk import Context

RESULTS = "run_results.json"
PROFILE = ProfileConfig(
    profile_name="okr_lakehouse", target_name="build", profiles_yml_filepath=PROJECT / "profiles.yml"
)


class DbtBuild(DbtBuildLocalOperator):  # type: ignore[misc]
    """Build all models with one `dbt build` in the task's process.

    On two busy cores, one task takes 16 s. One task per model (Cosmos' WATCHER mode, 39 tasks) took more than 80 s,
    mostly Airflow's overhead. dbt's unit tests check code and not data, so only `make test` runs them.
    """

    def execute(self, context: "Context", **kwargs: Any) -> str:
        """Build as the transform role, whose login only this process receives, and return the id of the build.

        The build starts with empty schemas, so anything left by an earlier try has no effect. dbt's target folder is
        kept, so that dbt need not parse unchanged files again.
        """
        settings = load_settings()
        dsn, build = settings.require("dsn_transform"), build_id()
        target = settings.dbt_target_dir.absolute()
        target.mkdir(parents=True, exist_ok=True)
        os.environ |= dbt_environment(settings) | {"DBT_TARGET_PATH": str(target), "DBT_LOG_PATH": str(target)}
        with hold_build_lock(dsn):
            self._selection = _prepare(settings, build)
            super().execute(context, **kwargs)
            if self._selection and withheld_events_changed(dsn):
                say("The set of withheld events has changed: all models are built.")
                self._selection = _prepare_full_build(settings, build)
                super().execute(context, **kwargs)
            finish_build(dsn, build)
            _report_results(target / RESULTS)
        return build

    def run_dbt_runner(self, command: list[str], env: dict[str, str], cwd: str, **_: Any) -> Any:
        """Run dbt with the manifest that was parsed before the fork and with few garbage collections.

        Garbage collection took a quarter of dbt's own time, and a process that runs for a few seconds does not need it.
        At the end, dbt writes only the results, because the manifest was written when the project was parsed.
        """
        from dbt.adapters.factory import reset_adapters
        from dbt.artifacts.schemas.run import RunExecutionResult
        from dbt.cli.main import dbtRunner

        parsed = manifest(load_settings())
        gc.freeze()
        gc.set_threshold(200_000, 50, 50)
        flags = ["--no-write-json"] if parsed else []
        with change_working_directory(cwd), environ(env):
            result = dbtRunner(manifest=parsed).invoke([*command[1:], *flags, *self._selection])
        if flags and isinstance(result.result, RunExecutionResult):
            result.result.write(f"{env['DBT_TARGET_PATH']}/{RESULTS}")
        reset_adapters()
        return result

    def calculate_openlineage_events_completes(self, *_: Any, **__: Any) -> bool:
        """Skip OpenLineage events: nothing reads them, and every publication would have to wait for them."""
        return False


def _prepare(settings: Settings, build: str) -> list[str]:
    """Prepare the build schemas; return dbt's arguments to select the models that may have changed, or [] for all.

    Scheduled runs, manual runs and retries build all models, so there is at least one full build per day.
    """
    dsn, parsed = settings.require("dsn_transform"), manifest(settings)
    basis = prepare_build(dsn, build, project=fingerprint(PROJECT))
    if basis is None or parsed is None or not started_by_asset() or try_number() > 1:
        return []  # all
    names = models_to_rebuild(parsed, basis.changed)
    copy_unchanged_marts(dsn, basis.publication_id, names)
    say(f"{len(names)} models are built; the other tables are reused from publication {basis.publication_id}.")
    return ["--select", *names]


def _prepare_full_build(settings: Settings, build: str) -> list[str]:
    prepare_build(settings.require("dsn_transform"), build, project=fingerprint(PROJECT))
    return []


def build() -> DbtBuild:
    """Return the task that builds the models."""
    return DbtBuild(
        task_id="dbt",
        project_dir=PROJECT,
        profile_config=PROFILE,
        invocation_mode=InvocationMode.DBT_RUNNER,
        # Logging every statement took a quarter of dbt's own time.
        dbt_cmd_flags=["--exclude-resource-type", "unit_test", "--log-level-file", "warn"],
        install_deps=False,
        emit_datasets=False,
        should_store_compiled_sql=False,
        retries=1,  # in case the warehouse was restarting; a failing model would fail again
    )


def _report_results(run_results: Path) -> None:
    results = json.loads(run_results.read_text(encoding="utf-8"))["results"]
    models = [result for result in results if result["unique_id"].startswith("model.")]
    rows = sum(max(result["adapter_response"].get("rows_affected") or 0, 0) for result in models)
    report_rows(rows)
    say(f"Built {len(models)} models, {rows} rows; the constraints of their contracts hold.")


@step
def document() -> bool:
    """Update the dbt docs site if the project has changed since the last update; return whether it was updated.

    `publish` skips this step if the site is up to date. The check is repeated here because the step can also be
    cleared on its own.
    """
    from dags.steps.dbt_docs import is_current, regenerate

    settings = load_settings()
    site = settings.sites_dir.absolute() / "catalog"
    if is_current(PROJECT, site):
        return False
    regenerate(PROJECT, site, dbt_environment(settings))
    return True
