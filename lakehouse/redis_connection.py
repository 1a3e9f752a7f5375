"""How clients reach Redis: the address with its certificate authorities, and clients that need few rights."""

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from lakehouse.settings import Settings

if TYPE_CHECKING:
    from redis import Redis

TLS_SCHEME = "rediss://"


def redis_address(settings: Settings, field: str) -> str:
    """Return the URL of a setting. For rediss://, it names OKR_CA_FILE, unless it already names a file.

    Raises:
        PermanentError: the setting is empty.
    """
    url = settings.require(field)
    if not settings.ca_file or not url.startswith(TLS_SCHEME) or "ssl_ca_certs=" in url:
        return url
    return f"{url}{'&' if '?' in url else '?'}ssl_ca_certs={quote(settings.ca_file)}"


def new_client(url: str, limit_s: float, **options: Any) -> "Redis":
    """Return a client that waits for at most `limit_s` for a connection or a response. Nothing connects yet.

    By default, the library names itself and asks for notices of maintenance. These subcommands of CLIENT do not exist
    before Redis 7.2, and access control lists of such servers cannot name them.
    """
    from redis import Redis
    from redis.maint_notifications import MaintNotificationsConfig

    return Redis.from_url(
        url,
        socket_timeout=limit_s,
        socket_connect_timeout=limit_s,
        driver_info=None,
        maint_notifications_config=MaintNotificationsConfig(enabled=False),
        **options,
    )
