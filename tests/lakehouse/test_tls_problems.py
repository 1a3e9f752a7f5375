"""Each reason why a TLS connection fails has its own sentence."""

import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from lakehouse.kafka_connection import KafkaConnection, SecurityProtocol
from lakehouse.tls_problems import server_problem, speaks_tls
from tests.ops.certificates import CertificateAuthority, ServerCertificate, expired

REASONS = {
    "good": None,
    "expired": r"The certificate of localhost:\d+ has expired\.",
    "other-host": r"The certificate of localhost:\d+ is for another host\.",
    "plaintext": r"localhost:\d+ does not accept TLS\.",
}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    return CertificateAuthority(tmp_path_factory.mktemp("authority"))


@contextmanager
def listening(certificate: ServerCertificate | None) -> Iterator[int]:
    """Yield the port of a server that makes handshakes or, without a certificate, closes connections."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_serve, args=(server, certificate), daemon=True).start()
        yield server.getsockname()[1]


def _serve(server: socket.socket, certificate: ServerCertificate | None) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if certificate is not None:
        context.load_cert_chain(certificate.certificate, certificate.key)
    with suppress(OSError):  # the test is over
        while True:
            client, _ = server.accept()
            with client, suppress(OSError):
                if certificate is not None:
                    context.wrap_socket(client, server_side=True).close()


@pytest.mark.parametrize("case", REASONS)
def test_the_reason_is_named(case: str, authority: CertificateAuthority) -> None:
    certificates = {
        "good": authority.issue("good"),
        "expired": authority.issue("expired", ends_at=expired()),
        "other-host": authority.issue("other-host", ["db.example.org"]),
    }
    with listening(certificates.get(case)) as port:
        problem, expected = server_problem("localhost", port, str(authority.file)), REASONS[case]
        assert problem is None if expected is None else re.match(expected, problem or "")
        assert speaks_tls("localhost", port) == (case in certificates)


def test_without_a_file_only_the_authorities_of_the_system_are_trusted(
    authority: CertificateAuthority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    other = CertificateAuthority(tmp_path, "other")
    with listening(authority.issue("server")) as port:
        for ca_file in ("", str(other.file)):
            assert "not signed by an authority in OKR_CA_FILE" in str(server_problem("localhost", port, ca_file))
        assert "no readable certificates" in str(server_problem("localhost", port, "/nowhere"))


def test_nobody_listens_and_an_unknown_name() -> None:
    assert server_problem("127.0.0.1", 1, "") == "Nothing listens on 127.0.0.1:1."
    assert "cannot be reached" in str(server_problem("no-such-host.invalid", 1, ""))
    assert not speaks_tls("127.0.0.1", 1)


def test_a_plaintext_client_of_kafka_is_told_that_the_port_expects_tls(authority: CertificateAuthority) -> None:
    with listening(authority.issue("kafka")) as port:
        problem = KafkaConnection(f"localhost:{port}").problem()
        assert problem == f"localhost:{port} expects TLS. Set OKR_KAFKA_SECURITY_PROTOCOL to SASL_SSL."
        one_is_down = KafkaConnection(f"localhost:{port},127.0.0.1:1")
        assert one_is_down.problem() is None, "clients may still connect to the other broker"


@pytest.mark.parametrize("protocol", SecurityProtocol)
def test_a_broker_that_is_starting_is_no_problem(protocol: SecurityProtocol, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lakehouse.kafka_connection.LOGIN_SECONDS", 0.1)
    KafkaConnection("127.0.0.1:1", protocol, "", "okr-land", "x" * 16).require_usable()


def test_the_password_is_not_shown() -> None:
    connection = KafkaConnection("localhost:9093", SecurityProtocol.SASL_SSL, "", "okr-land", "hunter2")
    assert "hunter2" not in repr(connection)
    assert connection.client_settings()["sasl.password"] == "hunter2"
