"""Redis as its administrator, for tests that empty it or look at what is in it."""

import redis

from infra.local.redis_users import ADMIN, PASSWORDS
from infra.local.stack import Stack


def admin_of(stack: Stack) -> "redis.Redis":
    """Return a client that may do everything."""
    return redis.Redis(port=stack.port("redis"), username=ADMIN, password=stack.env[PASSWORDS[ADMIN]])
