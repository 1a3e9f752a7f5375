"""Nothing that the API does with Redis is refused, although its user has few rights. Refusals would be overlooked.

Most services do without Redis after an error. So they would also do without it after a refusal.
"""

from contextlib import closing
from datetime import UTC, datetime

import redis

from infra.redis.users import SERVING, STATE
from ingestion.state.redis_figures import RealtimeFigures, open_redis
from ingestion.state.store import StateStore
from lakehouse.warehouse import connect
from serving.predictor.key_result_answers import CurrentForecasts
from serving.publication_reader import Publication
from tests.serving.admin.operators import OperatorClient
from tests.serving.live_server import health_of


def test_no_command_of_the_api_or_the_state_consumer_is_refused(
    operator: OperatorClient, redis_admin: redis.Redis
) -> None:
    redis_admin.acl_log_reset()
    api = operator.api
    with (
        closing(open_redis(api.settings.require("redis_state_url"))) as client,
        connect(api.settings.require("dsn_loader")) as connection,
    ):
        figures = RealtimeFigures(client, "rights", StateStore(connection, "cluster", "rights"))
        for lag in (1, 2):
            figures.write({("topic", 0): lag})
    assert api.client.post("/auth/token", data={"username": "lead", "password": "wrong"}).status_code == 401
    api.log_in("lead")
    assert api.client.get("/auth/sessions").status_code == 200
    assert api.client.delete("/auth/sessions").status_code < 300
    assert health_of(api)["checks"]["redis"]["status"] == "ok"
    operator.get("/forecast-cache")
    operator.delete("/forecast-cache")
    publication, forecasts = Publication(1, datetime.now(UTC), datetime.now(UTC), None), CurrentForecasts({})
    for _ in range(2):
        assert api.services.prediction.cache.get_or_compute(publication, "rights/1", lambda: forecasts) == forecasts
    assert [each for each in redis_admin.acl_log() if each["username"] in {SERVING, STATE}] == []
    assert redis_admin.acl_log_reset()
