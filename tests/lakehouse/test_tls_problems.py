"""Each reason why a TLS connection fails has its own sentence."""

import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from lakehouse.client_tls import ClientTls
from lakehouse.http_client import http_client
from lakehouse.kafka_connection import KafkaConnection, SecurityProtocol
from lakehouse.tls_problems import server_problem, speaks_tls, tls_problem
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
def listening(certificate: ServerCertificate | None, context: ssl.SSLContext | None = None) -> Iterator[int]:
    """Yield the port of a server that makes handshakes or, without a certificate, closes connections."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_serve, args=(server, certificate, context), daemon=True).start()
        yield server.getsockname()[1]


def _serve(server: socket.socket, certificate: ServerCertificate | None, given: ssl.SSLContext | None) -> None:
    context = given or ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
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


@pytest.mark.parametrize("fault", ["client certificate", "ciphers"])
def test_other_errors_of_a_handshake_are_not_called_plaintext(fault: str, authority: CertificateAuthority) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate = authority.issue("server")
    context.load_cert_chain(certificate.certificate, certificate.key)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    if fault == "ciphers":
        context.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")  # the key of the certificate is not RSA
    else:
        context.verify_mode = ssl.CERT_REQUIRED
    with listening(certificate, context) as port:
        assert "rejects the handshake" in str(server_problem("localhost", port, str(authority.file)))


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "db:1 expects a certificate of the client"),
        ("TLSV1_ALERT_PROTOCOL_VERSION", "db:1 supports none of the client's versions of TLS"),
        ("TLSV1_ALERT_INTERNAL_ERROR", "The TLS handshake with db:1 failed (TLSV1_ALERT_INTERNAL_ERROR)."),
        ("WRONG_VERSION_NUMBER", "db:1 does not accept TLS."),
    ],
)
def test_the_reason_of_openssl_is_explained(reason: str, text: str) -> None:
    error = ssl.SSLError(1, reason)
    error.reason = reason
    assert text in str(tls_problem(error, "db:1"))


def test_a_file_without_certificates_is_an_error_of_the_connection(tmp_path: Path) -> None:
    broken = tmp_path / "ca.pem"
    broken.write_text("-----BEGIN CERTIFICATE-----\nbroken\n-----END CERTIFICATE-----\n")
    for file in (broken, tmp_path / "missing.pem"):
        with pytest.raises(httpx.ConnectError, match=r"The file .* of OKR_CA_FILE has no readable cert") as raised:
            http_client("https://localhost:1", timeout_s=1, tls=ClientTls(str(file)))
        assert tls_problem(raised.value, "https://localhost:1") is None


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
