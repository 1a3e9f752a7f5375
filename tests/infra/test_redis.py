"""Redis: what it keeps, who may connect, and what each user may do."""

from collections.abc import Iterator

import pytest
import redis
from redis.exceptions import NoPermissionError

from infra.local.stack import Stack
from infra.redis.users import METRICS, SERVING, STATE, URLS
from ingestion.state.redis_figures import ACTIVE_USERS
from lakehouse.settings import Settings

SESSION = "okr:session:somebody"
ATTEMPTS = (
    # Reading or changing what belongs to others, or to the server.
    "KEYS *", "FLUSHALL", "FLUSHDB", "SWAPDB 0 1", "RANDOMKEY", "DUMP okr:x", "MONITOR", "SLOWLOG GET",
    "CLIENT LIST", "CLIENT KILL TYPE normal", "CONFIG GET requirepass", "CONFIG SET dir /tmp", "SAVE", "BGSAVE",
    "DEBUG SLEEP 10", "SHUTDOWN NOSAVE", "REPLICAOF 192.0.2.1 6379", "MODULE LOAD /tmp/x.so", "SCRIPT FLUSH",
    # Becoming another user.
    "ACL LIST", "ACL SETUSER okr_state +@all", "ACL WHOAMI", "AUTH default x",
    # Keys of another application.
    "GET other", "SET other 1", "DEL other",
    # Keeping the server busy or full.
    "SETRANGE okr:x 536870911 x", "SORT okr:x", "BLPOP okr:x 0", "SUBSCRIBE x", "PUBLISH x y",
)  # fmt: skip
ONLY_STATE = ("ZREMRANGEBYSCORE okr:check_ins -inf +inf", "HSET okr:figures_written_at recent 0")
ONLY_METRICS = ("INFO", "DBSIZE", "LATENCY LATEST")  # figures about the server, for Prometheus
ONLY_SERVING = (
    f"GET {SESSION}",
    f"DEL {SESSION}",
    "ZADD okr:sessions:x 1 y",
    "EVALSHA x 0",
    "SET okr:rate:x 0",
    "SCAN 0",
)


@pytest.fixture(scope="module", params=[SERVING, STATE, METRICS])
def user(request: pytest.FixtureRequest, redis_server: Settings) -> Iterator[tuple[str, redis.Redis]]:
    with redis.Redis.from_url(redis_server.require(URLS[request.param])) as client:
        yield request.param, client


def test_nobody_connects_without_a_password(redis_server: Settings) -> None:
    address = redis_server.require("redis_url").rpartition("@")[2]
    for login in ("", "default:@", ":guess@", "okr_serving:guess@", "okr_admin:@"):
        with (
            redis.Redis.from_url(f"redis://{login}{address}") as stranger,
            pytest.raises((redis.AuthenticationError, redis.ResponseError)),
        ):
            stranger.get(SESSION)


def test_passwords_are_not_in_the_settings_file(test_stack: Stack, redis_server: Settings) -> None:
    text = (test_stack.folder("run", "redis") / "redis.conf").read_text()
    secrets = [value for name, value in test_stack.env.items() if name.startswith("OKR_REDIS") and "PASSWORD" in name]
    assert len(secrets) == 4
    assert not [secret for secret in secrets if secret in text]


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_a_user_of_redis_may_do_only_what_its_service_needs(user: tuple[str, redis.Redis], attempt: str) -> None:
    with pytest.raises((NoPermissionError, redis.AuthenticationError)):
        user[1].execute_command(*attempt.split())  # type: ignore[no-untyped-call]


def test_no_user_may_do_what_only_another_needs(user: tuple[str, redis.Redis]) -> None:
    name, client = user
    others = {
        SERVING: ONLY_STATE + ONLY_METRICS,
        STATE: ONLY_SERVING + ONLY_METRICS,
        METRICS: ONLY_STATE + ONLY_SERVING,
    }
    for attempt in others[name]:
        with pytest.raises(NoPermissionError):
            client.execute_command(*attempt.split())  # type: ignore[no-untyped-call]


def test_each_user_may_do_its_work(user: tuple[str, redis.Redis]) -> None:
    name, client = user
    match name:
        case "okr_serving":
            assert client.zcount(ACTIVE_USERS, "-inf", "+inf") >= 0
        case "okr_state":
            assert client.zremrangebyscore(ACTIVE_USERS, "-inf", 0) >= 0
        case _:
            assert client.ping()


def test_redis_persists_nothing(redis_admin: redis.Redis) -> None:
    assert redis_admin.config_get("save") == {"save": ""}
    assert redis_admin.config_get("appendonly") == {"appendonly": "no"}


def test_when_memory_is_full_forecasts_are_evicted_and_figures_stay(redis_admin: redis.Redis) -> None:
    redis_admin.set("figure", "5")
    for number in range(200):
        redis_admin.set(f"forecasts {number}", b"f" * 1_000_000, ex=900)
    assert redis_admin.info("stats")["evicted_keys"] > 0
    assert redis_admin.get("figure") == b"5"
    redis_admin.flushdb()
