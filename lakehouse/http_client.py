"""HTTP to services of the platform, which are on this host or in its network: past every proxy of the environment."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx


def http_client(base_url: str, *, timeout_s: float, **options: Any) -> "httpx.Client":
    """Return a client that no variable of the environment redirects (HTTP_PROXY, ALL_PROXY, SSL_CERT_FILE, ~/.netrc).

    Raises:
        httpx.InvalidURL: the address is none.
    """
    import httpx

    return httpx.Client(base_url=base_url, timeout=timeout_s, trust_env=False, **options)
