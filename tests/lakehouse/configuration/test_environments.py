"""Each environment has its defaults and requirements, and all errors are reported at once, without secrets."""

import os
import re
from pathlib import Path

import certifi
import pytest
from pydantic import SecretStr

from lakehouse.client_tls import ClientTls
from lakehouse.configuration.profiles import Environment
from lakehouse.configuration.report import MASK, misspelt, report
from lakehouse.configuration.requirements import violations
from lakehouse.errors import PermanentError
from lakehouse.kafka_connection import KafkaConnection
from lakehouse.settings import Settings, load_settings, read_settings
from tests.ops.certificates import CertificateAuthority

STRONG = "0123456789abcdef0123456789abcdef"
CA = certifi.where()
SHARED = (Environment.STAGING, Environment.PRODUCTION)


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("OKR_") or name == "CREDENTIALS_DIRECTORY"]:
        monkeypatch.delenv(name)


def export(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    for name, value in values.items():
        monkeypatch.setenv(f"OKR_{name}", value)


def errors_of(state: Path) -> list[str]:
    return read_settings(state)[1]


def test_development_is_the_default_and_requires_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export(monkeypatch, ADMIN_PASSWORD="short", DSN_SERVING="postgresql://u:p@db.example.org/x")
    settings = load_settings(tmp_path)
    assert (settings.environment, settings.log_json, settings.api_workers) == (Environment.DEVELOPMENT, False, 1)


@pytest.mark.parametrize("environment", Environment)
def test_a_jwt_secret_that_serving_refuses_is_one_error_in_every_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: str
) -> None:
    export(monkeypatch, ENVIRONMENT=environment, JWT_SECRET=STRONG[:31])
    (error,) = errors_of(tmp_path)
    assert error.startswith("OKR_JWT_SECRET is too short: expected at least 32 bytes, got 31.")
    export(monkeypatch, JWT_SECRET=STRONG)
    assert errors_of(tmp_path) == []


def test_production_has_defaults_of_its_own_which_variables_replace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(monkeypatch, ENVIRONMENT="production")
    settings = load_settings(tmp_path)
    assert (settings.log_json, settings.api_workers) == (True, 2)
    export(monkeypatch, API_WORKERS="7")
    assert load_settings(tmp_path).api_workers == 7


def test_an_unknown_environment_is_an_error_that_names_the_known_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(monkeypatch, ENVIRONMENT="prod")
    with pytest.raises(PermanentError, match=r"OKR_ENVIRONMENT: .*'development', 'staging' or 'production'"):
        load_settings(tmp_path)


@pytest.mark.parametrize("environment", SHARED)
def test_all_errors_are_reported_at_once_and_none_contains_a_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: str
) -> None:
    export(
        monkeypatch,
        ENVIRONMENT=environment, API_PORT="hunter2", KAFKA_BOOTSTRAP="kafka", TRUSTED_PROXIES="10.0.0.0/8, proxy",
        JWT_SECRET="hunter2", ADMIN_PASSWORD="a" * 40, LEAD_PASSWORD=STRONG, APP_PASSWORD=STRONG,
        DSN_SERVING="postgresql://u:hunter2@db.example.org/okr?sslmode=require", DSN_OWNER="host=hunter2 hunter2",
        REDIS_URL="redis://u:hunter2@cache.example.org:6379/0", MLFLOW_URL="http://mlflow.example.org",
        METRICS_TOKEN_FILE=str(tmp_path / "missing"),
    )  # fmt: skip
    errors = errors_of(tmp_path)
    assert [error.partition(":")[0].partition(" ")[0] for error in errors] == [
        "OKR_METRICS_TOKEN", "OKR_API_PORT", "OKR_TRUSTED_PROXIES", "OKR_KAFKA_BOOTSTRAP", "OKR_JWT_SECRET",
        "OKR_ADMIN_PASSWORD", "OKR_APP_PASSWORD", "OKR_DSN_OWNER", "OKR_DSN_SERVING", "OKR_REDIS_URL", "OKR_MLFLOW_URL",
    ]  # fmt: skip
    assert "hunter2" not in "\n".join(errors)
    assert STRONG not in "\n".join(errors)
    with pytest.raises(PermanentError) as raised:
        load_settings(tmp_path)
    assert str(raised.value).splitlines()[1:] == [f"  {error}" for error in errors]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DSN_SERVING", f"postgresql://u:p@db.example.org/okr?sslmode=verify-full&sslrootcert={CA}"),
        ("DSN_SERVING", "postgresql://u:p@db.example.org/okr?sslmode=verify-full&sslrootcert=system"),
        ("DSN_SERVING", "postgresql://u:p@127.0.0.1:5432/okr"),
        ("DSN_SERVING", "host=/run/postgresql dbname=okr"),
        ("MLFLOW_STORE_URI", "postgresql+psycopg2://u:p@localhost/mlflow"),
        ("REDIS_URL", "rediss://u:p@cache.example.org:6379/0"),
        ("REDIS_URL", "redis://u:p@[::1]:6379/0"),
        ("AIRFLOW_URL", "https://airflow.example.org"),
        ("KAFKA_BOOTSTRAP", "localhost:9092,[::1]:9093"),
        ("CA_FILE", CA),
    ],
)
def test_encrypted_and_local_connections_are_accepted_in_production(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    export(monkeypatch, ENVIRONMENT="production", **{name: value})
    assert errors_of(tmp_path) == []


def test_kafka_on_another_host_must_be_encrypted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export(monkeypatch, ENVIRONMENT="staging", KAFKA_BOOTSTRAP="localhost:9093, k2.example.org:9093")
    (error,) = errors_of(tmp_path)
    assert error.startswith("OKR_KAFKA_SECURITY_PROTOCOL: Kafka is on another host (k2.example.org), so it must be ")
    export(monkeypatch, KAFKA_SECURITY_PROTOCOL="SASL_SSL")
    assert errors_of(tmp_path) == []
    with pytest.raises(PermanentError, match="OKR_KAFKA_USER"):
        KafkaConnection.of(load_settings(tmp_path))


def test_a_client_s_certificate_must_fit_its_key(tmp_path: Path) -> None:
    authority = CertificateAuthority(tmp_path)
    own, other = authority.issue("own", is_client=True), authority.issue("other", is_client=True)
    key = SecretStr(own.key.read_text(encoding="utf-8"))
    for certificate, expected in ((own.certificate, 0), (other.certificate, 1), (tmp_path / "nothing.pem", 1)):
        found = violations(Settings(client_certificate=str(certificate), client_key=key))
        assert len(found) == expected
        assert all("with the certificate of OKR_CLIENT_KEY, got" in line for line in found)
    # All services of a host have the certificate in their settings, but only some get the key; where Airflow is on the
    # same host, they get the key, but there is no certificate.
    for one in (Settings(client_certificate="/nowhere"), Settings(client_key=key)):
        assert violations(one) == []
        assert ClientTls.of(one) == ClientTls()


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("CA_FILE", "/nowhere/ca.pem", "OKR_CA_FILE: /nowhere/ca.pem has no readable certificates"),
        ("CA_FILE", __file__, "OKR_CA_FILE: .* has no readable certificates"),
        ("DSN_OWNER", "host=db sslmode=verify-full", "OKR_DSN_OWNER: .*, but it is missing"),
        ("DSN_OWNER", "host=db sslmode=verify-full sslrootcert=/no", "OKR_DSN_OWNER: .*, but /no cannot be read"),
        ("REDIS_URL", "rediss://u:p@cache/0?ssl_cert_reqs=none", "OKR_REDIS_URL: ssl_cert_reqs disables the check"),
        ("REDIS_STATE_URL", "rediss://u@c/0?ssl_check_hostname=false", "OKR_REDIS_STATE_URL: ssl_check_hostname dis"),
        ("KAFKA_SECURITY_PROTOCOL", "SSL", "OKR_KAFKA_SECURITY_PROTOCOL: .*'PLAINTEXT' or 'SASL_SSL'"),
        ("KAFKA_PASSWORD", "kafka", "OKR_KAFKA_PASSWORD is too weak for production"),
    ],
)
def test_settings_that_would_disable_or_break_tls_are_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, expected: str
) -> None:
    export(monkeypatch, ENVIRONMENT="production", **{name: value})
    (error,) = errors_of(tmp_path)
    assert re.match(expected, error)


@pytest.mark.parametrize("host", ["db", "10.0.0.9", "localhost.example.org", "127.0.0.1,db.example.org"])
def test_every_host_of_a_dsn_must_be_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    export(monkeypatch, ENVIRONMENT="production", DSN_LOADER=f"host={host} user=u dbname=okr")
    (error,) = errors_of(tmp_path)
    assert "sslmode=verify-full" in error


def test_a_secret_comes_from_a_named_file_or_a_credential_of_systemd(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "jwt").write_text(f"{STRONG}\n")
    (tmp_path / "okr_app_password").write_text("of systemd")
    export(monkeypatch, JWT_SECRET_FILE=str(tmp_path / "jwt"))
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    settings = load_settings(tmp_path)
    assert settings.require("jwt_secret") == STRONG
    assert settings.require("app_password") == "of systemd"
    shown = {each.name: (each.value, each.origin) for each in report(settings)}
    assert shown["OKR_JWT_SECRET"] == (MASK, f"file {tmp_path / 'jwt'}")
    assert shown["OKR_APP_PASSWORD"] == (MASK, "credential okr_app_password")


def test_a_secret_with_two_sources_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "jwt").write_text(STRONG)
    export(monkeypatch, JWT_SECRET_FILE=str(tmp_path / "jwt"), JWT_SECRET=STRONG[::-1])
    (error,) = errors_of(tmp_path)
    assert error.startswith("OKR_JWT_SECRET is set twice")


def test_a_file_that_is_no_text_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "jwt").write_bytes(b"\xff\xfe")
    export(monkeypatch, JWT_SECRET_FILE=str(tmp_path / "jwt"))
    (error,) = errors_of(tmp_path)
    assert error.endswith("is not UTF-8 text.")


def test_the_report_names_each_source_and_masks_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "stack.env").write_text(f"OKR_KAFKA_BOOTSTRAP=127.0.0.1:1\nOKR_JWT_SECRET={STRONG}\n")
    export(monkeypatch, ENVIRONMENT="staging", SPOOL_EVENTS="7", KAFKA_BOOTSTRAP="elsewhere:2")
    found = {each.name: each for each in report(load_settings(tmp_path))}
    origins = {
        name: found[f"OKR_{name}"].origin for name in ("KAFKA_BOOTSTRAP", "SPOOL_EVENTS", "LOG_JSON", "API_PORT")
    }
    assert origins == {
        "KAFKA_BOOTSTRAP": "stack.env", "SPOOL_EVENTS": "environment", "LOG_JSON": "profile", "API_PORT": "default",
    }  # fmt: skip
    assert found["OKR_JWT_SECRET"].value == MASK
    assert found["OKR_APP_PASSWORD"].value == "", "an empty secret is shown as empty"
    assert STRONG not in repr(found)


def test_a_misspelt_variable_is_named_with_a_similar_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    export(monkeypatch, API_WORKER="3", JWT_SECRET_FILE="/x", STATE="/y")
    assert misspelt() == ["OKR_API_WORKER is not a setting. Did you mean OKR_API_WORKERS?"]
