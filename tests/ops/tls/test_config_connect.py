"""`okr config connect` tries every server in the settings, and says in one line each what is wrong."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ops.certificates import CertificateAuthority
from tests.ops.tls.kafka_broker import SecuredBroker
from tests.ops.tls.postgres_server import SecuredPostgres
from tests.ops.tls.redis_server import SecuredRedis

EXPECTED = {
    "OKR_KAFKA_BOOTSTRAP": "SASL_SSL, user okr-admin",
    "OKR_DSN_LOADER": r"TLSv1\.3, role okr",
    "OKR_REDIS_URL": "TLS, user okr_serving",
    "OKR_AIRFLOW_URL": r"TLSv1\.[23], status 404",
}


@pytest.fixture
def settings(
    broker: SecuredBroker, secured_postgres: SecuredPostgres, secured_redis: SecuredRedis, nginx_ports: dict[str, int]
) -> dict[str, str]:
    """Settings that name one server of each kind, without OKR_CA_FILE."""
    kafka = broker.connection()
    return {
        "OKR_KAFKA_BOOTSTRAP": kafka.bootstrap, "OKR_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "OKR_KAFKA_USER": kafka.user, "OKR_KAFKA_PASSWORD": kafka.password,
        "OKR_REDIS_URL": secured_redis.settings().require("redis_url"),
        "OKR_AIRFLOW_URL": f"https://localhost:{nginx_ports['right']}",
        "OKR_DSN_LOADER": secured_postgres.dsn(),
    }  # fmt: skip


def test_each_connection_is_shown_with_its_encryption(
    settings: dict[str, str], authority: CertificateAuthority, tmp_path: Path
) -> None:
    status, lines = connect(settings | {"OKR_CA_FILE": str(authority.file)}, tmp_path)
    assert status == 0, lines
    assert [setting for _, setting, _, _ in lines] == list(EXPECTED)
    for result, setting, _, text in lines:
        assert result == "ok"
        assert re.fullmatch(EXPECTED[setting], text), text


def test_each_wrong_certificate_is_one_line(
    settings: dict[str, str], authority: CertificateAuthority, other_authority: CertificateAuthority, tmp_path: Path
) -> None:
    wrong = {name: value.replace(str(authority.file), str(other_authority.file)) for name, value in settings.items()}
    status, lines = connect(wrong | {"OKR_CA_FILE": str(other_authority.file)}, tmp_path)
    assert status == 1
    assert [setting for _, setting, _, _ in lines] == list(EXPECTED)
    for result, _, _, text in lines:
        assert result == "FAIL"
        assert "is not signed by an authority in" in text


def connect(settings: dict[str, str], state: Path) -> tuple[int, list[list[str]]]:
    """Return the exit status, and the cells of each line: result, setting, server, text."""
    run = subprocess.run(
        [Path(sys.executable).with_name("okr"), "config", "connect"],
        env={"PATH": os.environ["PATH"], "OKR_STATE": str(state)} | settings,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert run.stderr == ""
    return run.returncode, [re.split(r" {2,}", line, maxsplit=3) for line in run.stdout.splitlines()]
