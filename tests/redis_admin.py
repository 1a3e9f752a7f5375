"""Redis as its administrator, for tests that empty it or look at what is in it."""

import redis

from infra.local.generated_secrets import REDIS_PASSWORDS
from infra.local.stack import Stack
from infra.redis.users import ADMIN


def admin_of(stack: Stack) -> "redis.Redis":
    """Return a client that may do everything."""
    return redis.Redis(port=stack.port("redis"), username=ADMIN, password=stack.env[REDIS_PASSWORDS[ADMIN]])
