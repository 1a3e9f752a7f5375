"""The TLS of a client: whom it trusts, and the certificate with which it says who it is."""

import os
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from lakehouse.tls_problems import client_context

if TYPE_CHECKING:
    from lakehouse.settings import Settings


@dataclass(frozen=True)
class ClientTls:
    """`ca_file` names the trusted authorities (PEM); if it is empty, those of the system are trusted.

    `certificate` names a PEM file, and `key` is the text of its key. Only a server that asks for a certificate gets it.
    """

    ca_file: str = ""
    certificate: str = ""
    key: str = field(default="", repr=False)

    @classmethod
    def of(cls, settings: "Settings") -> Self:
        """Return the TLS of this process. Services that have only the certificate, or only the key, use neither."""
        certificate, key = settings.client_certificate, settings.client_key.get_secret_value()
        return cls(settings.ca_file, certificate, key) if certificate and key else cls(settings.ca_file)

    def context(self) -> ssl.SSLContext:
        """Return a new context.

        Raises:
            OSError, ssl.SSLError: a file cannot be read or is not PEM, or the key is not that of the certificate.
        """
        context = client_context(self.ca_file)
        if self.key:
            _load(context, self.certificate, self.key)
        return context


def _load(context: ssl.SSLContext, certificate: str, key: str) -> None:
    """Load a certificate. `ssl` reads keys only from files, so the key is in one that exists only in memory."""
    descriptor = os.memfd_create("client-key")
    try:
        os.write(descriptor, key.encode())
        context.load_cert_chain(certificate, f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
