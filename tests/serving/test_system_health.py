"""/v1/system-health returns host metrics of the marts, and live figures with their own times."""

import time
import uuid
from contextlib import closing
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
import redis

from ingestion.state.redis_figures import STALE_SECONDS, WRITTEN_AT, RealtimeFigures, open_redis
from ingestion.state.store import StateStore
from lakehouse.contracts.check_in import CheckInRecorded
from lakehouse.contracts.page import PageViewed
from lakehouse.warehouse import connect
from tests.serving.data_api import get
from tests.serving.live_server import Api, health_of, serving


def test_system_health_returns_hourly_host_metrics(api: Api, app_headers: dict[str, str]) -> None:
    body = get(api, app_headers, "/v1/system-health?hours=168")
    assert {metric["metric"] for metric in body["host_metrics"]} >= {"cpu_busy", "memory_used"}
    assert body["pipeline_runs"] == []


def test_system_health_returns_live_figures_or_null_without_redis(api: Api, app_headers: dict[str, str]) -> None:
    happened = {
        "okr.page.viewed.v1": [PageViewed(user_id=user, page="p") for user in ("looks", "looks too")],
        "okr.check_in.recorded.v1": [CheckInRecorded(check_in_id="c", key_result_id="k", value=1.0)] * 10,
    }
    rows = [
        {"event_type": event_type, "event_id": uuid.uuid4().hex, "occurred_at": datetime.now(UTC),
         "data": msgspec.json.encode(each).decode()}
        for event_type, payloads in happened.items()
        for each in payloads
    ]  # fmt: skip
    with (
        closing(open_redis(api.settings.require("redis_state_url"))) as client,
        connect(api.settings.require("dsn_loader")) as connection,
    ):
        figures = RealtimeFigures(client, "test-group", StateStore(connection, "cluster", "test-group"))
        figures.write({})  # the first write creates all figures
        before = get(api, app_headers, "/v1/system-health")["live"]
        figures.note(rows, may_change_progress=False)
        figures.write({("topic", 0): 7})
    live = get(api, app_headers, "/v1/system-health")["live"]
    assert live["active_users"]["value"] == before["active_users"]["value"] + 2
    assert live["check_ins_per_minute"]["value"] == pytest.approx(before["check_ins_per_minute"]["value"] + 10 / 5)
    assert live["consumer_lag"]["test-group"]["value"] == 7
    assert live["progress_by_cycle"]["value"] == before["progress_by_cycle"]["value"]
    ages = [
        datetime.now(UTC) - datetime.fromisoformat(figure["as_of"])
        for figure in (live["active_users"], live["progress_by_cycle"], live["consumer_lag"]["test-group"])
    ]
    assert max(ages) < timedelta(seconds=STALE_SECONDS)
    away = api.settings.model_copy(update={"redis_url": type(api.settings.redis_url)("redis://127.0.0.1:9/0")})
    with serving(away) as without:
        assert get(without, without.headers(), "/v1/system-health")["live"] is None


def test_an_unconfirmed_live_figure_is_null_and_keeps_its_time(
    api: Api, app_headers: dict[str, str], redis_admin: redis.Redis
) -> None:
    """A missing figure that reads as 0 looks healthy (https://github.com/sksamuel/cohort/pull/212), and so does the
    last lag of a consumer that died (https://github.com/buoyant-data/verspaetung/issues/33)."""
    long_ago = time.time() - STALE_SECONDS - 5
    with connect(api.settings.require("dsn_loader")) as connection:
        figures = RealtimeFigures(redis_admin, "test-dead", StateStore(connection, "cluster", "test-dead"))
        figures.write({("topic", 0): 3})
        assert get(api, app_headers, "/v1/system-health")["live"]["consumer_lag"]["test-dead"]["value"] == 3
        names = [name.decode() for name in redis_admin.hkeys(WRITTEN_AT)]
        redis_admin.hset(WRITTEN_AT, mapping=dict.fromkeys(names, long_ago))
        live = get(api, app_headers, "/v1/system-health")["live"]
        health = health_of(api)
        redis_admin.flushdb()
        flushed = get(api, app_headers, "/v1/system-health")["live"]
    stale = [live[name] for name in ("active_users", "check_ins_per_minute", "progress_by_cycle")]
    for figure in [*stale, live["consumer_lag"]["test-dead"]]:
        assert figure["value"] is None
        assert datetime.fromisoformat(figure["as_of"]).timestamp() == pytest.approx(long_ago)
    assert health["checks"]["live_figures"]["status"] == "degraded"
    assert "okr-state" in health["checks"]["live_figures"]["detail"]
    assert flushed["active_users"] == {"value": None, "as_of": None}, "unknown, which is not 0"
    assert flushed["consumer_lag"] == {}
