"""The manifest of dbt_project/, parsed when a process first imports this module, for the processes forked from it.

A manifest contains the name of its database. Every test has a database of its own, so dbt would parse the project again
in each of them, which takes 2 s of CPU. `dags/steps/dbt_manifest.py` does the same for the tasks of Airflow.
"""

import gc
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from unittest.mock import patch

from dbt.adapters.factory import reset_adapters
from dbt.cli.main import dbtRunner
from dbt.contracts.graph.manifest import Manifest

PROJECT = Path(__file__).parents[1] / "dbt_project"
ANY_DATABASE = "okr_of_no_test"
# Parsing connects to no server.
PROFILE = {f"OKR_DBT_{name}": "unused" for name in ("HOST", "USER", "PASSWORD")}
PROFILE |= {"OKR_DBT_PORT": "5432", "OKR_DBT_DBNAME": ANY_DATABASE, "DO_NOT_TRACK": "1"}


def _parse() -> Manifest | None:
    with tempfile.TemporaryDirectory() as target, patch.dict(os.environ, PROFILE):
        folders = [f"--{kind}-dir={PROJECT}" for kind in ("project", "profiles")]
        folders += [f"--{kind}-path={target}" for kind in ("target", "log")]
        # dbt's static parser starts threads, which do not exist in a forked child.
        result = dbtRunner().invoke(["--quiet", "--no-static-parser", "--no-write-json", "parse", *folders])
        reset_adapters()  # a forked child must not inherit their locks
    return result.result if result.success and isinstance(result.result, Manifest) else None


_parsed = _parse()
gc.collect()
gc.freeze()  # garbage collection in the forked children skips what exists now


def manifest_for(environment: Mapping[str, str]) -> Manifest | None:
    """Return the manifest for the database of an environment, or None if dbt has to parse the project and report why.

    The only manifest is changed, so call this once per process.
    """
    if _parsed is None:
        return None
    database = environment["OKR_DBT_DBNAME"]
    for node in (*_parsed.nodes.values(), *_parsed.sources.values()):
        node.database = database
        if node.relation_name:
            node.relation_name = node.relation_name.replace(ANY_DATABASE, database)
    return _parsed
