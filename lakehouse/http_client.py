"""HTTP clients for the platform's own services, which run on this host or in its network and need no proxy."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx


def http_client(base_url: str, *, timeout_s: float, **options: Any) -> "httpx.Client":
    """Return a client that ignores HTTP_PROXY, ALL_PROXY, SSL_CERT_FILE and ~/.netrc.

    Raises:
        httpx.InvalidURL: `base_url` is not a URL.
    """
    import httpx

    return httpx.Client(base_url=base_url, timeout=timeout_s, trust_env=False, **options)
