"""Publish marts in tests that build them without the DAG."""

import json
from typing import Any

from psycopg import sql

from lakehouse.publishing import publication
from lakehouse.settings import Settings
from lakehouse.warehouse import connect


def passed(run_id: str, **others: Any) -> dict[str, Any]:
    """Return the report of a marts gate that passed for this run."""
    return {"gate": "marts", "run_id": run_id, "passed": True, "checked_rows": 1, "expectations": 1, **others}


def publish_build(settings: Settings, run_id: str = "run") -> publication.Publication:
    """Publish the tables in marts_build as the build of a run, with the present watermarks."""
    offsets: dict[str, dict[str, int]] = {}
    with connect(settings.require("dsn_transform")) as connection:
        for topic, partition, offset in connection.execute(
            "SELECT topic, kafka_partition, next_offset FROM raw.load_watermark"
        ):
            offsets.setdefault(str(topic), {})[str(partition)] = int(str(offset))
        build = sql.Literal(json.dumps({"run_id": run_id, "offsets": offsets}))
        connection.execute(sql.SQL("COMMENT ON SCHEMA marts_build IS {}").format(build))
    dsn = settings.require("dsn_transform")
    return publication.publish(dsn, gate=passed(run_id), model_version=None)
