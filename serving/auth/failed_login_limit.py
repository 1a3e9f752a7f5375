"""Limit failed logins, which are counted in Redis. If Redis is down, only the cost of argon2 slows down guessing."""

import hashlib

import redis

from lakehouse.logs import get_logger
from serving.errors import TooManyAttempts

WINDOW_S = 300
FAILURES_PER_USERNAME = 20
FAILURES_PER_ADDRESS = 60


class FailedLoginLimit:
    """Rejects logins after too many failures for the same user name or address within WINDOW_S seconds."""

    def __init__(self, client: "redis.Redis") -> None:
        self._redis = client
        self._log = get_logger(__name__)

    def check(self, username: str, address: str) -> None:
        """Check that another login may be attempted.

        Raises:
            TooManyAttempts: there were too many failures for the user name or the address.
        """
        for key, most in self._limits(username, address).items():
            try:
                failures, left_s = int(self._redis.get(key) or 0), int(self._redis.ttl(key))
            except redis.RedisError as error:
                self._log.warning("failed logins are not limited", error=str(error))
                return
            if failures >= most:
                wait_s = max(left_s, 1)
                raise TooManyAttempts(f"Too many failed logins; try again in {wait_s} s.", wait_s)

    def record(self, username: str, address: str) -> None:
        """Count a failed login."""
        try:
            pipeline = self._redis.pipeline(transaction=True)
            for key in self._limits(username, address):
                pipeline.incr(key)
                pipeline.expire(key, WINDOW_S, nx=False)
            pipeline.execute()
        except redis.RedisError as error:
            self._log.warning("a failed login is not counted", error=str(error))

    @staticmethod
    def _limits(username: str, address: str) -> dict[str, int]:
        name = hashlib.sha256(username.encode("utf-8", "replace")).hexdigest()[:32]
        return {f"okr:login:name:{name}": FAILURES_PER_USERNAME, f"okr:login:address:{address}": FAILURES_PER_ADDRESS}
