"""Explain why PostgreSQL's certificate is not accepted. libpq only says "certificate verify failed"."""

import socket
import struct
from collections.abc import Mapping

from lakehouse.tls_problems import server_problem

SSL_REQUEST = struct.pack("!ii", 8, 80_877_103)  # protocol-flow.html, "SSL Session Encryption"
UNEXPLAINED = "certificate verify failed"
OF_THE_SYSTEM = "system"


def certificate_problem(error: BaseException, parts: Mapping[str, str]) -> str:
    """Return the reason in one sentence, or "" if the error of a connection is about something else.

    `parts` are the parameters of the connection (`lakehouse.warehouse.parts_of`).
    """
    if UNEXPLAINED not in str(error):
        return ""
    authorities = parts.get("sslrootcert", "")
    return (
        server_problem(
            parts["host"].partition(",")[0],
            int(parts["port"].partition(",")[0]),
            "" if authorities == OF_THE_SYSTEM else authorities,
            trusted="the DSN's sslrootcert",
            start_tls=start_tls,
        )
        or ""
    )


def start_tls(plain: socket.socket) -> bool:
    """Ask a PostgreSQL server to change to TLS, and return whether it does."""
    plain.sendall(SSL_REQUEST)
    return plain.recv(1) == b"S"
