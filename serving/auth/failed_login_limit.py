"""Counts failed logins in Redis. Without Redis nothing is counted and argon2's cost is the brake."""

import hashlib

import redis

from lakehouse.logs import get_logger
from serving.errors import TooManyAttempts

WINDOW_S = 300
FAILURES_PER_USERNAME = 20
FAILURES_PER_ADDRESS = 60


class FailedLoginLimit:
    """Refuses a login after too many failures of the same name or address within WINDOW_S seconds."""

    def __init__(self, client: "redis.Redis") -> None:
        self._redis = client
        self._log = get_logger(__name__)

    def check(self, username: str, address: str) -> None:
        """Let a login be tried.

        Raises:
            TooManyAttempts: the name or the address failed too often.
        """
        for key, most in self._limits(username, address).items():
            try:
                failures, left_s = int(self._redis.get(key) or 0), int(self._redis.ttl(key))
            except redis.RedisError as error:
                self._log.warning("logins are not counted", error=str(error))
                return
            if failures >= most:
                wait_s = max(left_s, 1)
                raise TooManyAttempts(f"Too many failed logins; try again in {wait_s} s.", wait_s)

    def failed(self, username: str, address: str) -> None:
        """Count a failure."""
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
