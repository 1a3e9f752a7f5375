"""Connections without encryption, and certificates that are or will be invalid, are found on real TLS listeners."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from infra.audit import connections, kafka_access
from infra.audit.finding import NotChecked
from infra.audit.installation import Installation
from lakehouse import tls_problems
from lakehouse.kafka_connection import SecurityProtocol
from lakehouse.settings import Settings
from tests.ops.audit.test_host import found_by
from tests.ops.certificates import CertificateAuthority, ServerCertificate
from tests.ops.certificates import expired as expired_at

Listen = Callable[[ServerCertificate], int]


@pytest.fixture
def authority(tmp_path: Path) -> CertificateAuthority:
    return CertificateAuthority(tmp_path)


@pytest.fixture
def listen() -> Iterator[Listen]:
    """Return a function that starts a TLS server with a certificate and returns its port."""
    with ExitStack() as cleanup:

        def start(certificate: ServerCertificate) -> int:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate.certificate, certificate.key)
            server = cleanup.enter_context(socket.create_server(("127.0.0.1", 0)))

            def serve() -> None:
                while True:
                    try:
                        plain, _ = server.accept()
                    except OSError:
                        return  # the test is over
                    try:
                        context.wrap_socket(plain, server_side=True).close()
                    except OSError:
                        plain.close()

            thread = threading.Thread(target=serve)
            cleanup.callback(thread.join, 10)
            cleanup.callback(server.shutdown, socket.SHUT_RDWR)
            thread.start()
            return int(server.getsockname()[1])

        yield start


@pytest.mark.parametrize(
    ("setting", "value", "required"),
    [
        ("dsn_serving", "postgresql://a:b@db.example.org/okr?sslmode=require", "?sslmode=verify-full"),
        ("redis_url", "redis://a:b@cache.example.org", "rediss://"),
        ("airflow_url", "http://app.example.org:8080", "https://"),
        ("kafka_bootstrap", "kafka.example.org:9092", "OKR_KAFKA_SECURITY_PROTOCOL=SASL_SSL"),
    ],
)
def test_an_unencrypted_connection_to_another_host_is_found(setting: str, value: str, required: str) -> None:
    [line] = found_by(connections.check, Installation(Settings(**{setting: value})))
    assert line.startswith(f"OKR_{setting.upper()}: expected an encrypted and verified connection to ")
    assert line.endswith(f"Change the setting: {required}.")


def test_unencrypted_connections_on_this_host_are_not_found() -> None:
    settings = Settings(
        dsn_serving="postgresql://a:b@127.0.0.1/okr", dsn_owner="postgresql://a@/okr?host=/run/postgresql",
        redis_url="redis://a:b@localhost", airflow_url="http://127.0.0.1:8080", kafka_bootstrap="127.0.0.1:9092",
    )  # fmt: skip
    assert found_by(connections.check, Installation(settings)) == []


def test_a_host_of_the_edge_checks_only_the_connections_that_it_has() -> None:
    """All hosts have the same settings, and its firewall lets nothing through to Kafka or PostgreSQL."""
    settings = Settings(
        kafka_bootstrap="kafka.example.org:9093",
        kafka_security_protocol=SecurityProtocol.SASL_SSL,
        kafka_user="okr-admin",
    )
    edge = Installation(settings, zones=frozenset({"edge"}))
    with pytest.raises(NotChecked, match="no server is configured"):
        found_by(connections.check, edge)
    with pytest.raises(NotChecked, match="OKR_KAFKA_PASSWORD is not set"):
        found_by(kafka_access.check, edge)


@pytest.mark.parametrize("setting", ["mlflow_url", "redis_url", "kafka_bootstrap"])
def test_certificates_are_checked(
    setting: str, authority: CertificateAuthority, listen: Listen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def installation(port: int, ca_file: Path = authority.file) -> Installation:
        address = {"mlflow_url": "https://localhost:{}", "redis_url": "rediss://a:b@localhost:{}"}
        changes = {setting: address.get(setting, "localhost:{}").format(port), "ca_file": str(ca_file)}
        return Installation(Settings(kafka_security_protocol=SecurityProtocol.SASL_SSL, **changes))

    monkeypatch.setattr(connections, "MIN_DAYS_LEFT", 3)  # certificates of tests are valid for a week
    good = listen(authority.issue("good"))
    assert found_by(connections.check, installation(good)) == []
    soon = listen(authority.issue("soon", ends_at=datetime.now(UTC) + timedelta(days=2, hours=1)))
    [line] = found_by(connections.check, installation(soon))
    assert "that is valid for at least 3 days, found 2 days left. Renew it on the server." in line
    expired = listen(authority.issue("expired", ends_at=expired_at()))
    [line] = found_by(connections.check, installation(expired))
    assert f"expected a valid certificate of localhost:{expired}, found none." in line
    assert "has expired" in line
    other = CertificateAuthority(tmp_path / "other").file
    [line] = found_by(connections.check, installation(good, other))
    assert "is not signed by an authority in OKR_CA_FILE" in line


def test_the_public_address_may_have_a_certificate_that_the_system_trusts(
    authority: CertificateAuthority, listen: Listen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = CertificateAuthority(tmp_path / "other").file
    settings = Settings(api_url=f"https://localhost:{listen(authority.issue('public'))}", ca_file=str(other))
    monkeypatch.setattr(connections, "MIN_DAYS_LEFT", 3)
    [line] = found_by(connections.check, Installation(settings))
    assert "is not signed by an authority in OKR_CA_FILE" in line
    # Only clients may connect to it, so the audit of another host cannot look.
    inside = settings.model_copy(update={"airflow_url": "http://127.0.0.1:8080"})
    assert found_by(connections.check, Installation(inside, zones=frozenset({"app"}))) == []
    assert len(found_by(connections.check, Installation(inside, zones=frozenset({"app", "edge"})))) == 1
    trusted = SimpleNamespace(openssl_cafile=str(authority.file), openssl_capath=None)
    monkeypatch.setattr(tls_problems, "default_paths", lambda: trusted)
    assert found_by(connections.check, Installation(settings)) == []
    mlflow = Settings(mlflow_url=settings.api_url, ca_file=str(other))
    assert len(found_by(connections.check, Installation(mlflow))) == 1
