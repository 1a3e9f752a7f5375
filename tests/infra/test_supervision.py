"""Services under the supervisor: which are restarted, which are not."""

import os
import signal
import subprocess
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from infra.local.redis import Redis
from infra.local.services import select
from infra.local.stack import open_stack
from infra.local.start import up
from infra.local.supervisor import Supervisor
from lakehouse.errors import NEEDS_INTERVENTION, PermanentError
from tests.infra.lifecycle import BOTH, is_healthy, service_pid
from tests.polling import until


@pytest.mark.parametrize("name", BOTH)
def test_a_killed_service_restarts(state: Path, name: str) -> None:
    stack = up(state, BOTH, print)
    killed = service_pid(stack, name)
    os.kill(killed, signal.SIGKILL)
    until(lambda: service_pid(stack, name) not in (0, killed) and is_healthy(stack), f"{name} is restarted")


def test_children_of_a_killed_service_are_ended_before_its_next_start(state: Path) -> None:
    stack = up(state, ("redis",), print)
    child = subprocess.Popen(["sleep", "600"], cwd=Redis(stack).working_folder(), start_new_session=True)
    os.kill(service_pid(stack, "redis"), signal.SIGKILL)
    assert child.wait(30) == -signal.SIGTERM


def test_a_worker_that_needs_manual_intervention_is_left_stopped(state: Path) -> None:
    """Landing refuses a lake that was filled from another Kafka log; restarting it would only fill its log."""
    lake = state / "lake" / "okr_user_events"
    schema = pa.schema([pa.field("kafka_partition", pa.int32())])
    DeltaTable.create(str(lake), schema, description="another cluster/another topic")
    with pytest.raises(PermanentError, match=r"land has stopped and requires manual intervention.*another cluster"):
        up(state, select("land"), print)
    stack = open_stack(state)
    assert stack is not None
    assert Supervisor(stack).states()["land"]["exitstatus"] == NEEDS_INTERVENTION
    assert Supervisor(stack).states()["land"]["statename"] == "EXITED"
