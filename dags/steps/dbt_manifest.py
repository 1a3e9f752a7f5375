"""Parse the dbt project once, in the scheduler, before it forks tasks. This saves one second per build.

The resulting manifest contains the database's name, so it is used only for the same project and warehouse.
"""

import gc
from pathlib import Path
from typing import TYPE_CHECKING

from dags.steps.dbt_docs import fingerprint
from lakehouse.errors import OkrError
from lakehouse.logs import get_logger
from lakehouse.settings import Settings, load_settings
from lakehouse.warehouse import dbt_environment

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest

PROJECT = Path(__file__).parents[2] / "dbt_project"

_parsed: "dict[tuple[str, str], Manifest]" = {}  # at most one entry


def parse() -> None:
    """Parse the project and keep the manifest in memory.

    If there are no settings or the project cannot be parsed, each build parses the project itself.
    """
    try:
        settings = load_settings()
        identity = _project_and_warehouse(settings)
    except OkrError as error:
        get_logger(__name__).info("dbt project not parsed in advance", error=str(error))
        return
    manifest = _parse(settings)
    _parsed.clear()
    if manifest is not None:
        _parsed[identity] = manifest
    gc.collect()
    gc.freeze()  # so that garbage collection in forked tasks skips these objects


def manifest(settings: Settings) -> "Manifest | None":
    """Return the parsed manifest if it still matches the files on disk and the warehouse, else None."""
    return _parsed.get(_project_and_warehouse(settings)) if _parsed else None


def _project_and_warehouse(settings: Settings) -> tuple[str, str]:
    environment = dbt_environment(settings)
    return fingerprint(PROJECT), "/".join(environment[f"OKR_DBT_{name}"] for name in ("HOST", "PORT", "USER", "DBNAME"))


def _parse(settings: Settings) -> "Manifest | None":
    from cosmos.dbt.project import environ
    from dbt.adapters.factory import reset_adapters
    from dbt.cli.main import dbtRunner

    target = str(settings.dbt_target_dir.absolute())
    locations = ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT), "--target-path", target]
    with environ(dict(dbt_environment(settings))):
        try:
            # dbt's static parser starts threads. A forked child that parses again would wait for them forever.
            command = ["--quiet", "--no-static-parser", "parse", "--target", "build", "--log-path", target, *locations]
            result = dbtRunner().invoke(command)
        finally:
            reset_adapters()  # its locks must not be inherited by forked tasks
    if not result.success:
        get_logger(__name__).warning("dbt project not parsed in advance", error=str(result.exception or result.result))
        return None
    return result.result
