"""Store the result of every gate run, passed or failed, in ops.gate_result."""

import json

from expectations.gate_decision import GateReport
from lakehouse.warehouse import connect, read_sql


def save(dsn_transform: str, report: GateReport) -> None:
    """Insert one row into ops.gate_result.

    Raises:
        RetryableError: the warehouse cannot be reached.
    """
    values = report.as_dict() | {"report": json.dumps(report.as_dict(), default=str)}
    with connect(dsn_transform, application="okr-gate") as connection:
        connection.execute(read_sql("expectations", "insert_gate_result"), values)
