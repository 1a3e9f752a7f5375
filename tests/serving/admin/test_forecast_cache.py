"""/admin/forecast-cache."""

from redis import Redis

from serving.predictor.forecast_cache import PREFIX
from tests.serving.admin.operators import OperatorClient


def test_the_cache_is_shown_and_cleared_without_other_keys(operator: OperatorClient, redis_admin: Redis) -> None:
    key, lock, other = f"{PREFIX}v3:7@x:1", f"{PREFIX}v3:7@x:2:lock", "okr:forecast-of-a-test"
    redis_admin.mset({key: b"12345", lock: b"token", other: b"1"})
    redis_admin.expire(key, 100)
    entries = {each["key"]: each for each in operator.get("/forecast-cache")["entries"]}
    assert entries[key]["bytes"] == 5
    assert 0 < entries[key]["expires_in_s"] <= 100
    assert lock not in entries
    assert operator.delete("/forecast-cache")["deleted"] >= 1
    assert operator.get("/forecast-cache")["entries"] == []
    assert redis_admin.delete(key, lock, other) == 2  # another worker's lock and other keys are untouched
