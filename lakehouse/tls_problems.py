"""Explain why a TLS connection failed, in one sentence that says what to do.

librdkafka and libpq report the same text for an expired certificate, one of an unknown authority and one for another
host. `server_problem` therefore repeats the handshake with Python's client, which distinguishes them.
"""

import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from ssl import get_default_verify_paths as default_paths

LIMIT_S = 2.0
CA_SETTING = "OKR_CA_FILE"
EXPIRED, NOT_YET_VALID = 10, 9  # codes of OpenSSL (x509_vfy.h)
WRONG_HOST = frozenset({62, 64})  # name, address
# Reasons that OpenSSL gives if a server answers with something else than TLS, or closes the connection.
PLAINTEXT = frozenset(
    {
        "WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG", "HTTP_REQUEST", "UNKNOWN_PROTOCOL",
        "UNEXPECTED_EOF_WHILE_READING",
    }
)  # fmt: skip
NO_COMMON_VERSION = frozenset({"UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION", "NO_PROTOCOLS_AVAILABLE"})
NO_COMMON_CIPHER = frozenset({"SSLV3_ALERT_HANDSHAKE_FAILURE", "TLSV1_ALERT_INSUFFICIENT_SECURITY"})
CLIENT_CERTIFICATE = frozenset(
    {
        "TLSV13_ALERT_CERTIFICATE_REQUIRED", "SSLV3_ALERT_BAD_CERTIFICATE", "TLSV1_ALERT_UNKNOWN_CA",
        "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
    }
)  # fmt: skip

StartTls = Callable[[socket.socket], bool]


def server_problem(
    host: str, port: int, ca_file: str, *, trusted: str = CA_SETTING, start_tls: StartTls | None = None
) -> str | None:
    """Return why a server's certificate is not accepted or why it does not speak TLS; None if a handshake succeeds.

    `trusted` names the setting with the authorities. `start_tls` makes a protocol change to TLS, and returns whether
    the server does.
    """
    server = f"{host}:{port}"
    try:
        context = client_context(ca_file)
    except OSError as error:  # ssl.SSLError is one
        return unreadable(ca_file, error, trusted)
    try:
        with socket.create_connection((host, port), LIMIT_S) as plain:
            if start_tls is not None and not start_tls(plain):
                return _no_tls(server)
            with context.wrap_socket(plain, server_hostname=host):
                return None
    except OSError as error:
        return tls_problem(error, server, trusted=trusted) or _network_problem(error, server)


def tls_problem(error: BaseException, server: str, *, trusted: str = CA_SETTING) -> str | None:
    """Return the explanation if TLS is the cause of an error of a client, or None."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return _certificate_problem(cause, server, trusted)
    return None if cause is None else _handshake_problem(cause, server)


def unreadable(ca_file: str, error: OSError, trusted: str = CA_SETTING) -> str:
    """Return that the file with the authorities cannot be used."""
    return f"The file {ca_file} of {trusted} has no readable certificates ({error})."


def listens(host: str, port: int) -> bool:
    """Return whether a server accepts connections."""
    try:
        socket.create_connection((host, port), LIMIT_S).close()
    except OSError:
        return False
    return True


def speaks_tls(host: str, port: int) -> bool:
    """Return whether a server answers a TLS handshake, whatever its certificate is."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # nothing is sent after the handshake
    try:
        with socket.create_connection((host, port), LIMIT_S) as plain, context.wrap_socket(plain):
            return True
    except OSError:
        return False


def client_context(ca_file: str) -> ssl.SSLContext:
    """Return a context that trusts the authorities of a file only, or those of the system if there is no file.

    Raises:
        OSError, ssl.SSLError: the file cannot be read, or contains no certificates.
    """
    if ca_file:
        return ssl.create_default_context(cafile=ca_file)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    paths = default_paths()
    # Not `load_default_certs`, because SSL_CERT_FILE of the caller's environment would replace these.
    file = paths.openssl_cafile if Path(paths.openssl_cafile).is_file() else None
    context.load_verify_locations(file, paths.openssl_capath)
    return context


def _network_problem(error: OSError, server: str) -> str:
    match error:
        case ConnectionResetError():  # what a Kafka broker does with bytes that are not its protocol
            return _no_tls(server)
        case TimeoutError():
            return f"{server} did not respond within {LIMIT_S:.0f} s."
        case ConnectionRefusedError():
            return f"Nothing listens on {server}."
        case _:
            return f"{server} cannot be reached ({error.strerror or error})."


def _certificate_problem(error: ssl.SSLCertVerificationError, server: str, trusted: str) -> str:
    certificate = f"The certificate of {server}"
    if error.verify_code == EXPIRED:
        return f"{certificate} has expired. Renew it on the server, and check the clocks of both hosts."
    if error.verify_code == NOT_YET_VALID:
        return f"{certificate} is not valid yet. Check the clocks of both hosts."
    if error.verify_code in WRONG_HOST:
        return f"{certificate} is for another host. Connect to a name in it, or issue it for this name."
    return (
        f"{certificate} is not signed by an authority in {trusted} ({error.verify_message}). Is this the right server, "
        "and is the setting the right file?"
    )


def _handshake_problem(error: ssl.SSLError, server: str) -> str:
    reason = error.reason or ("UNEXPECTED_EOF_WHILE_READING" if isinstance(error, ssl.SSLEOFError) else str(error))
    if reason in PLAINTEXT:
        return _no_tls(server)
    if reason in NO_COMMON_VERSION:
        return f"{server} supports none of the client's versions of TLS. It must offer TLS 1.2 or 1.3."
    if reason in NO_COMMON_CIPHER:
        return f"{server} rejects the handshake: it may support none of the client's ciphers, or expect a certificate."
    if reason in CLIENT_CERTIFICATE:
        return f"{server} expects a certificate of the client (OKR_CLIENT_CERTIFICATE, OKR_CLIENT_KEY)."
    return f"The TLS handshake with {server} failed ({reason})."


def _no_tls(server: str) -> str:
    return f"{server} does not accept TLS. Is this its plaintext port?"
