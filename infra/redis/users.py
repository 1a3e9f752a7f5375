"""The users of Redis: each has a password and only the commands and keys that its service needs."""

import hashlib
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from lakehouse.errors import PermanentError
from lakehouse.settings import Settings

ADMIN = "okr_admin"  # for the stack's health check and for operators
SERVING, STATE, METRICS = "okr_serving", "okr_state", "okr_metrics"
URLS = {SERVING: "redis_url", STATE: "redis_state_url", METRICS: "redis_metrics_url"}
# What clients send when they connect (lakehouse/redis_connection.py). SELECT is for addresses with a database but 0.
CONNECTION = ("hello", "select")
TRANSACTION = ("multi", "exec")
COMMANDS: Mapping[str, tuple[str, ...]] = {
    # Sessions, counts of failed logins, leases of rate limits (a script), the cache of forecasts, and the live figures.
    # The API only reads the live figures; it needs the commands that write to sorted sets for the lists of sessions.
    SERVING: (
        *CONNECTION, *TRANSACTION, "ping", "get", "mget", "set", "del", "unlink", "incrby", "expire", "ttl", "strlen",
        "scan", "zadd", "zrem", "zrange", "zrevrange", "zscore", "zcount", "hgetall", "eval", "evalsha", "script|load",
        "time",
    ),
    # The live figures, but no sessions.
    STATE: (
        *CONNECTION, *TRANSACTION, "watch", "unwatch", "set", "del", "incrby", "hset", "zadd",
        "zremrangebyscore",
    ),
    # Whether the server responds, and figures about it for Prometheus, but neither keys nor their values.
    METRICS: (*CONNECTION, "ping", "info", "dbsize", "latency|latest", "client|setname"),
}  # fmt: skip
KEYS: Mapping[str, str] = {
    SERVING: "~okr:*",
    STATE: "~okr:active_users ~okr:check_ins ~okr:cycle_progress ~okr:consumer_lag ~okr:figures*",
    METRICS: "",
}


def acl_rules(passwords: Mapping[str, str]) -> list[str]:
    """Return the lines that define the users with these passwords, which are hashed. `default` can do nothing."""
    return ["user default off resetpass resetkeys resetchannels -@all"] + [
        f"user {name} on #{hashlib.sha256(password.encode()).hexdigest()} resetkeys resetchannels -@all {_rights(name)}"
        for name, password in passwords.items()
    ]


def passwords_in(settings: Settings) -> dict[str, str]:
    """Return the passwords of the services' users and, if its address is set, of the administrator.

    Raises:
        PermanentError: an address is missing or names another user.
    """
    found = {}
    admin = {ADMIN: "redis_admin_url"} if settings.redis_admin_url.get_secret_value() else {}
    for name, field in (URLS | admin).items():
        url = urlsplit(settings.require(field))
        if url.username != name or not url.password:
            raise PermanentError(
                f"OKR_{field.upper()} is for the user {url.username!r}. Expected rediss://{name}:<password>@<host>."
            )
        found[name] = unquote(url.password)
    return found


def _rights(name: str) -> str:
    if name == ADMIN:
        return "~* &* +@all"
    return " ".join(filter(None, (KEYS[name], *(f"+{command}" for command in COMMANDS[name]))))
