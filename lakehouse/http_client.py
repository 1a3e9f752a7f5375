"""HTTP clients for the platform's own services, which run on this host or in its network and need no proxy."""

import ssl
from typing import TYPE_CHECKING, Any

from lakehouse.client_tls import ClientTls
from lakehouse.tls_problems import unreadable

if TYPE_CHECKING:
    import httpx


def http_client(base_url: str, *, timeout_s: float, tls: ClientTls | None = None, **options: Any) -> "httpx.Client":
    """Return a client that ignores HTTP_PROXY, ALL_PROXY, SSL_CERT_FILE and ~/.netrc.

    The certificate of an https:// server must be signed by an authority in `tls`, or one of the system.

    Raises:
        httpx.InvalidURL: `base_url` is not a URL.
        httpx.ConnectError: a file of `tls` cannot be used, so no connection can be made.
    """
    import httpx

    verify = _context(tls or ClientTls()) if base_url.startswith("https:") else True
    return httpx.Client(base_url=base_url, timeout=timeout_s, trust_env=False, verify=verify, **options)


def _context(tls: ClientTls) -> ssl.SSLContext:
    import httpx

    try:
        return tls.context()
    except OSError as error:  # ssl.SSLError is one
        problem = unreadable(tls.ca_file, error)
        if tls.certificate:
            problem = (
                f"OKR_CA_FILE ({tls.ca_file}), OKR_CLIENT_CERTIFICATE ({tls.certificate}) or OKR_CLIENT_KEY cannot be "
                f"used ({error})."
            )
    # Outside of the handler, because an SSLError as its context would look like a failed handshake.
    raise httpx.ConnectError(problem)
