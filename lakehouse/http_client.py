"""HTTP clients for the platform's own services, which run on this host or in its network and need no proxy."""

from typing import TYPE_CHECKING, Any

from lakehouse.client_tls import ClientTls

if TYPE_CHECKING:
    import httpx


def http_client(base_url: str, *, timeout_s: float, tls: ClientTls | None = None, **options: Any) -> "httpx.Client":
    """Return a client that ignores HTTP_PROXY, ALL_PROXY, SSL_CERT_FILE and ~/.netrc.

    The certificate of an https:// server must be signed by an authority in `tls`, or one of the system.

    Raises:
        httpx.InvalidURL: `base_url` is not a URL.
    """
    import httpx

    verify = (tls or ClientTls()).context() if base_url.startswith("https:") else True
    return httpx.Client(base_url=base_url, timeout=timeout_s, trust_env=False, verify=verify, **options)
