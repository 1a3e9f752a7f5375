"""Count failed logins per window in Redis or, while Redis is unavailable, in this process."""

import hashlib
import threading
import time
from collections.abc import Iterable

import redis

from lakehouse.logs import get_logger

WINDOW_S = 15 * 60
MOST_LOCAL = 10_000


class FailureCounts:
    """Counts by subject. A count starts with its first failure and ends WINDOW_S seconds later. Thread-safe."""

    def __init__(self, client: "redis.Redis") -> None:
        self._redis = client
        self._local: dict[str, tuple[int, float]] = {}
        self._counting = threading.Lock()
        self._log = get_logger(__name__)

    def read(self, subjects: Iterable[str]) -> dict[str, tuple[int, int]]:
        """Return the failures and the remaining seconds of the window for each subject."""
        names = list(subjects)
        try:
            pipeline = self._redis.pipeline(transaction=False)
            for name in names:
                pipeline.get(_key(name))
                pipeline.ttl(_key(name))
            found = pipeline.execute()
        except redis.RedisError as error:
            self._log.warning("failed logins are counted in each process", error=str(error))
            return {name: self._read_local(name) for name in names}
        counts = zip(names, found[::2], found[1::2], strict=True)
        return {name: (int(count or 0), max(int(left_s), 1)) for name, count, left_s in counts}

    def add(self, subjects: Iterable[str]) -> dict[str, int]:
        """Count a failure for each subject and return the counts."""
        names = list(subjects)
        try:
            pipeline = self._redis.pipeline(transaction=True)
            for name in names:
                pipeline.set(_key(name), 0, ex=WINDOW_S, nx=True)
                pipeline.incr(_key(name))
            found = pipeline.execute()
        except redis.RedisError as error:
            self._log.warning("failed logins are counted in each process", error=str(error))
            return {name: self._add_local(name) for name in names}
        return dict(zip(names, map(int, found[1::2]), strict=True))

    def _read_local(self, name: str) -> tuple[int, int]:
        count, ends_at = self._local.get(_key(name), (0, 0.0))
        left_s = ends_at - time.monotonic()
        return (count, int(left_s) + 1) if left_s > 0 else (0, 1)

    def _add_local(self, name: str) -> int:
        with self._counting:
            count, left_s = self._read_local(name)
            if len(self._local) >= MOST_LOCAL:
                now = time.monotonic()
                self._local = {key: each for key, each in self._local.items() if each[1] > now}
                if len(self._local) >= MOST_LOCAL:
                    self._local.clear()
            self._local[_key(name)] = (count + 1, time.monotonic() + (left_s if count else WINDOW_S))
            return count + 1


def _key(subject: str) -> str:
    return f"okr:login:{hashlib.sha256(subject.encode('utf-8', 'replace')).hexdigest()[:32]}"
