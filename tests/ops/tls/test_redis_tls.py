"""Redis by rediss://: clients trust OKR_CA_FILE and refuse wrong servers. No user has a right that it never uses."""

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from pydantic import SecretStr

from infra.redis.users import COMMANDS, METRICS, SERVING, STATE, acl_rules
from ingestion.sources.metrics.service_probes import redis_up
from ingestion.state.redis_figures import RealtimeFigures, Recent, open_redis
from lakehouse.redis_connection import redis_address
from lakehouse.retry import attempts
from lakehouse.settings import Settings
from serving.auth.failure_counts import FailureCounts
from serving.auth.sessions import Sessions
from serving.data.live_figures import LiveFigures
from serving.limits.rate_plan import RatePlan
from serving.limits.token_bucket import SharedBuckets, limited_client
from serving.predictor.forecast_cache import ForecastCache
from serving.predictor.key_result_answers import CurrentForecasts
from serving.publication_reader import Publication
from serving.redis_client import redis_client
from tests.figures import report
from tests.ops.certificates import CertificateAuthority, expired
from tests.ops.tls.redis_server import SecuredRedis

Client = Callable[[Settings], "redis.Redis"]
CLIENTS: dict[str, Client] = {
    "the API": lambda settings: redis_client(redis_address(settings, "redis_url")),
    "the rate limits of the API": lambda settings: limited_client(redis_address(settings, "redis_url")),
    "the state consumer": lambda settings: open_redis(redis_address(settings, "redis_state_url")),
}
FAULTS = {
    "expired": ({"ends_at": expired()}, "certificate verify failed: certificate has expired"),
    "other-host": ({"hosts": ["cache.example.org"]}, "Hostname mismatch, certificate is not valid for 'localhost'"),
}


@pytest.mark.parametrize("client", CLIENTS)
def test_each_client_trusts_the_authority_of_the_settings_and_no_other(
    client: str, secured_redis: SecuredRedis, other_authority: CertificateAuthority
) -> None:
    with closing(CLIENTS[client](secured_redis.settings())) as connected:
        # Rate limits wait for only 50 ms, so that requests do not wait; on a busy machine, a handshake takes longer.
        patient = attempts(redis.TimeoutError, 20)
        assert patient(connected.set, "okr:figures:x" if "state" in client else "okr:x", 1)
    with closing(CLIENTS[client](secured_redis.settings(ca_file=other_authority.file))) as stranger:
        assert "certificate verify failed: self-signed certificate in certificate chain" in why(stranger)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("fault", FAULTS)
def test_each_client_refuses_a_wrong_certificate(
    client: str, fault: str, secured_redis: SecuredRedis, authority: CertificateAuthority
) -> None:
    values, expected = FAULTS[fault]
    with (
        secured_redis.showing(authority.issue(f"redis-{fault}", **values)),
        closing(CLIENTS[client](secured_redis.settings())) as connected,
    ):
        assert expected in why(connected)


def test_a_plaintext_client_is_refused(secured_redis: SecuredRedis) -> None:
    with closing(CLIENTS["the API"](secured_redis.settings(scheme="redis"))) as plain:
        assert why(plain)


def test_a_wrong_password_is_refused(secured_redis: SecuredRedis) -> None:
    settings = secured_redis.settings()
    wrong = settings.require("redis_url").replace(secured_redis.passwords[SERVING], "wrong")
    with closing(redis_client(f"{wrong}?ssl_ca_certs={secured_redis.ca_file}")) as stranger:
        assert "invalid username-password pair or user is disabled" in why(stranger)


def test_the_metrics_collector_reports_a_wrong_certificate_as_down(
    secured_redis: SecuredRedis, other_authority: CertificateAuthority
) -> None:
    assert next(redis_up(secured_redis.settings(), "host")).value == 1.0
    assert next(redis_up(secured_redis.settings(ca_file=other_authority.file), "host")).value == 0.0


def why(client: "redis.Redis") -> str:
    with pytest.raises(redis.ConnectionError) as raised:
        client.get("okr:figures:x")
    assert "\n" not in str(raised.value)
    return str(raised.value)


def work_as_api(settings: Settings) -> None:
    with (
        closing(redis_client(redis_address(settings, "redis_url"))) as client,
        closing(limited_client(redis_address(settings, "redis_url"))) as limited,
    ):
        account = SimpleNamespace(username="jo", credential_version=1, disabled_at=None, identity=lambda _: None)
        sessions = Sessions(client, lambda _: account)  # type: ignore[arg-type,return-value]
        cookie = sessions.start(account, "a browser")  # type: ignore[arg-type]
        sessions.verify(cookie)
        (listed,) = sessions.listed("jo")
        assert sessions.end("jo", listed.session_id)
        assert sessions.end_by_cookie(cookie) is None
        sessions.end_all("jo")
        counts = FailureCounts(client)
        assert counts.add(["jo"]) == {"jo": 1}
        assert counts.read(["jo"])["jo"][0] == 1
        buckets = SharedBuckets(limited)
        assert buckets.take("user:jo", RatePlan("standard", 10.0, 10), 2) is not None
        buckets.reconnect()
        cache, now = ForecastCache(client), datetime.now(UTC)
        for _ in range(2):
            cache.get_or_compute(Publication(1, now, now, None), "m/1", lambda: CurrentForecasts({}))
        assert len(cache.entries()) == 1
        assert cache.clear() == 1
        assert LiveFigures(client).read() is not None


def work_as_state(settings: Settings) -> None:
    source = SimpleNamespace(recent=lambda _: Recent({"u": 1e12}, {"c": 1e12}), cycle_progress=lambda: {"c": 0.5})
    with closing(open_redis(redis_address(settings, "redis_state_url"))) as client:
        figures = RealtimeFigures(client, "tests", source)  # type: ignore[arg-type]
        for lag in (1, 2):
            figures.write({("topic", 0): lag})
        source.cycle_progress = lambda: 1 / 0  # as if PostgreSQL failed in the transaction of Redis
        with pytest.raises(ZeroDivisionError):
            RealtimeFigures(client, "tests", source).write({})  # type: ignore[arg-type]


def work_as_metrics(settings: Settings) -> None:
    assert next(redis_up(settings, "host")).value == 1.0


WORK: dict[str, Callable[[Settings], None]] = {
    SERVING: work_as_api, STATE: work_as_state, METRICS: work_as_metrics,
}  # fmt: skip


@pytest.mark.parametrize("user", WORK)
def test_each_user_has_exactly_the_commands_that_its_service_calls(user: str, secured_redis: SecuredRedis) -> None:
    with secured_redis.admin() as admin:
        admin.flushall()
        admin.script_flush()
        admin.acl_log_reset()
        admin.config_resetstat()
        WORK[user](secured_redis.settings())
        called = commands(admin) - {"config|resetstat", "info"}
        assert [(entry["username"], entry["object"]) for entry in admin.acl_log()] == []
    assert called | {"select"} == set(COMMANDS[user])


def test_the_figures_of_the_rights(secured_redis: SecuredRedis) -> None:
    total = len(commands_of(secured_redis))
    rows = [[user, str(len(allowed)), str(total - len(allowed))] for user, allowed in COMMANDS.items()]
    assert all(len(allowed) < total / 4 for allowed in COMMANDS.values())
    report("Rights in Redis", ["user", "commands allowed", "commands forbidden"], rows, "Commands of Redis 7.")


def okr_redis_users(settings: Settings, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    names = ("redis_url", "redis_state_url", "redis_metrics_url", "redis_admin_url")
    addresses = {f"OKR_{name.upper()}": getattr(settings, name).get_secret_value() for name in names}
    return subprocess.run(
        [Path(sys.executable).with_name("okr"), "redis", "users", *options],
        env={"PATH": os.environ["PATH"], "OKR_STATE": str(folder)} | addresses,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_the_command_prints_the_list_that_the_server_uses(secured_redis: SecuredRedis, tmp_path: Path) -> None:
    printed = okr_redis_users(secured_redis.settings(), tmp_path).stdout
    assert sorted(printed.splitlines()) == sorted(acl_rules(secured_redis.passwords))
    assert not [password for password in secured_redis.passwords.values() if password in printed]


def test_a_wrong_setting_leaves_the_file_of_users_and_a_right_one_replaces_it(
    secured_redis: SecuredRedis, tmp_path: Path
) -> None:
    file, settings = tmp_path / "okr.acl", secured_redis.settings()
    file.write_text("user default off\n", encoding="ascii")
    os.chown(tmp_path, -1, 65_534)
    wrong = okr_redis_users(settings.model_copy(update={"redis_url": SecretStr("")}), tmp_path, f"--output={file}")
    assert wrong.returncode != 0
    assert file.read_text(encoding="ascii") == "user default off\n"
    right = okr_redis_users(settings, tmp_path, f"--output={file}")
    assert right.stdout == f"{file} has 4 users.\n", right.stderr
    assert sorted(file.read_text(encoding="ascii").splitlines()) == sorted(acl_rules(secured_redis.passwords))
    assert (stat.S_IMODE(file.stat().st_mode), file.stat().st_gid) == (0o640, 65_534)


def commands(admin: "redis.Redis") -> set[str]:
    found: dict[str, Any] = admin.info("commandstats")
    return {name.removeprefix("cmdstat_") for name in found}


def commands_of(secured_redis: SecuredRedis) -> list[object]:
    with secured_redis.admin() as admin:
        return list(admin.command_list())
