"""The users of Redis: each has a password and only the commands and keys that its service needs."""

import hashlib
from collections.abc import Mapping

ADMIN = "okr_admin"  # for the stack's health check and for people with access to stack.env
SERVING, STATE = "okr_serving", "okr_state"
PASSWORDS = {
    ADMIN: "OKR_REDIS_PASSWORD",
    SERVING: "OKR_REDIS_SERVING_PASSWORD",
    STATE: "OKR_REDIS_STATE_PASSWORD",
}
_CONNECTION = "+ping +hello +select +client|setinfo +client|setname +client|maint_notifications"
_TRANSACTION = "+multi +exec +discard"
_RIGHTS = {
    ADMIN: "~* &* +@all",
    # Sessions, counts of failed logins, leases of rate limits (a script), the cache of forecasts, and the live figures.
    # The API only reads the live figures; it needs the commands that write to sorted sets for the lists of sessions.
    SERVING: (
        f"~okr:* {_CONNECTION} {_TRANSACTION} +get +mget +set +del +unlink +incrby +expire +ttl +strlen +scan "
        "+zadd +zrem +zrange +zrevrange +zscore +zcount +hgetall +eval +evalsha +script|load +time"
    ),
    # The live figures, but no sessions.
    STATE: (
        "~okr:active_users ~okr:check_ins ~okr:cycle_progress ~okr:consumer_lag ~okr:figures* "
        f"{_CONNECTION} {_TRANSACTION} +watch +unwatch +get +set +del +incrby +hset +hgetall +zadd +zcount "
        "+zremrangebyscore"
    ),
}


def acl_rules(env: Mapping[str, str]) -> list[str]:
    """Return the lines of the settings file that define the users, with hashed passwords. `default` can do nothing."""
    rules = ["user default off resetpass resetkeys resetchannels -@all"]
    for name, password in PASSWORDS.items():
        digest = hashlib.sha256(env[password].encode()).hexdigest()
        rules.append(f"user {name} on #{digest} resetkeys resetchannels -@all {_RIGHTS[name]}")
    return rules
