"""The dbt project as the scheduler parsed it before it forks tasks: a build then begins at once, not a second later.

It is used only for the very project and warehouse that it was parsed for: a manifest names the database.
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

_kept: "dict[tuple[str, str], Manifest]" = {}  # at most one


def parse() -> None:
    """Parse and keep the manifest; without settings, or with a project that cannot be parsed, a build does it itself.

    Everything stays in this process; what dbt leaves for a next run lies in its target folder.
    """
    try:
        settings = load_settings()
        key = _key(settings)
    except OkrError as error:
        get_logger(__name__).info("dbt project not parsed ahead", error=str(error))
        return
    manifest = _parse(settings)
    _kept.clear()
    if manifest is not None:
        _kept[key] = manifest
    gc.collect()
    gc.freeze()  # a forked task's collections need not look at what was here before it


def manifest(settings: Settings) -> "Manifest | None":
    """Return what was parsed if it still is what stands on disk and this warehouse's."""
    return _kept.get(_key(settings)) if _kept else None


def _key(settings: Settings) -> tuple[str, str]:
    environment = dbt_environment(settings)
    return fingerprint(PROJECT), "/".join(environment[f"OKR_DBT_{name}"] for name in ("HOST", "PORT", "USER", "DBNAME"))


def _parse(settings: Settings) -> "Manifest | None":
    from cosmos.dbt.project import environ
    from dbt.adapters.factory import reset_adapters
    from dbt.cli.main import dbtRunner

    target = str(settings.dbt_target_dir.absolute())
    places = ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT), "--target-path", target]
    with environ(dict(dbt_environment(settings))):
        try:
            # dbt's static parser has threads of its own: a forked child that parses would wait for them for ever.
            command = ["--quiet", "--no-static-parser", "parse", "--target", "build", "--log-path", target, *places]
            result = dbtRunner().invoke(command)
        finally:
            reset_adapters()  # its locks are this process's
    if not result.success:
        get_logger(__name__).warning("dbt project not parsed ahead", error=str(result.exception or result.result))
        return None
    return result.result
