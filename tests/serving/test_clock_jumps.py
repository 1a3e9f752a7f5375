"""Clocks that jump by hours: of the database (heartbeats), of Redis (rate limits) and of a worker (prediction ids).

tests/serving/auth has the cases of tokens and sessions. Local limits and caches use a clock that cannot jump.
"""

import time
import uuid
from contextlib import closing
from types import SimpleNamespace

import pytest
import redis

from lakehouse.settings import Settings
from lakehouse.warehouse import connect
from serving.fast_path import fast_predict
from serving.fast_path.fast_predict import EventIds
from serving.limits.rate_plan import RatePlan
from serving.limits.token_bucket import KEY, SharedBuckets, limited_client
from serving.models.catalog import DEFAULT_MODEL
from serving.models.worker_models import workers_of_model
from tests.serving.live_server import Api

HOURS = 3 * 3600


def test_a_dead_worker_does_not_look_alive_after_the_database_s_clock_was_set_back(api: Api) -> None:
    dead = uuid.uuid4()
    with connect(api.settings.require("dsn_owner"), autocommit=True) as owner:
        owner.execute(
            "INSERT INTO serving.worker (worker_id, host, process_id, heartbeat_at) "
            "VALUES (%s, 'dead', 1, now() + make_interval(secs => %s))", [dead, HOURS],
        )  # fmt: skip
    try:
        workers = api.services.prediction.workers
        workers.heartbeat()
        assert [each["worker_id"] for each in workers.live() if each["worker_id"] == dead] == []
        assert workers.worker_id in {each["worker_id"] for each in workers.live()}
        reported = {each["worker_id"] for each in workers_of_model(api.services.warehouse, DEFAULT_MODEL)}
        assert str(dead) not in reported
    finally:
        with connect(api.settings.require("dsn_owner"), autocommit=True) as owner:
            owner.execute("DELETE FROM serving.worker WHERE worker_id = %s", [dead])


@pytest.mark.parametrize("seconds", [-HOURS, HOURS])
def test_a_jump_of_redis_s_clock_delays_a_caller_by_one_bucket_at_most(
    redis_server: Settings, redis_admin: redis.Redis, seconds: int
) -> None:
    plan, key = RatePlan("jumping", 10.0, 20), f"user:{uuid.uuid4().hex}"
    full_at_us = int((time.time() + seconds) * 1e6)  # as stored before the clock was set back, or forward
    redis_admin.set(f"{KEY}{key}", full_at_us, ex=60)
    with closing(limited_client(redis_server.require("redis_url"))) as client:
        buckets = SharedBuckets(client)
        buckets.reconnect()
        grant = buckets.take(key, plan, 1)
        assert grant is not None
        assert grant.wait_s <= plan.burst / plan.requests_per_second
        assert (grant.tokens == 1) is (seconds < 0)


def test_ids_of_predictions_stay_unique_when_the_clock_is_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    ids, made = EventIds(), set()
    for offset_s in (0, -HOURS, HOURS, 0):
        now_ns = time.time_ns() + offset_s * 1_000_000_000
        monkeypatch.setattr(fast_predict, "time", SimpleNamespace(time_ns=lambda now_ns=now_ns: now_ns))
        made |= {ids.next() for _ in range(2_000)}
    assert len(made) == 8_000
    assert {uuid.UUID(bytes=each).version for each in made} == {7}
