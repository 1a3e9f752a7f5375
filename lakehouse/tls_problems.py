"""Explain why a TLS connection failed, in one sentence that says what to do.

librdkafka and libpq report the same text for an expired certificate, one of an unknown authority and one for another
host. `server_problem` therefore repeats the handshake with Python's client, which distinguishes them.
"""

import socket
import ssl
from collections.abc import Callable
from pathlib import Path

LIMIT_S = 2.0
CA_SETTING = "OKR_CA_FILE"
EXPIRED, NOT_YET_VALID = 10, 9  # codes of OpenSSL (x509_vfy.h)
WRONG_HOST = frozenset({62, 64})  # name, address

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
    except (OSError, ssl.SSLError) as error:
        return f"The file {ca_file} of {trusted} has no readable certificates ({error})."
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
    return _no_tls(server) if cause is not None else None


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
    paths = ssl.get_default_verify_paths()
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


def _no_tls(server: str) -> str:
    return f"{server} does not accept TLS. Is this its plaintext port?"
