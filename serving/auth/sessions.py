"""Browser sessions in Redis. The cookie holds a random id; Redis has only its hash.

Every request with a session reads Redis, so a session that was ended ends immediately on every worker. While Redis is
unavailable, sessions cannot be verified, and pages answer 503.
"""

import hashlib
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

import msgspec
import redis

from lakehouse.errors import RetryableError
from lakehouse.logs import get_logger
from serving.auth.accounts import Account
from serving.auth.roles import Identity
from serving.errors import NotSignedIn

LIFE_S = 8 * 3600
ID_BYTES = 32
LONGEST_COOKIE = 100
MOST_PER_ACCOUNT = 50  # beyond this number, the oldest one ends
LONGEST_CLIENT = 200
UNAVAILABLE = "Sessions cannot be verified now, because Redis does not respond. Try again in a few seconds."
ENDED = "The session has ended; log in at /login."


class Stored(msgspec.Struct, frozen=True):
    """A session as stored in Redis. Times are in seconds since 1970."""

    username: str
    credential_version: int
    started_at: float
    expires_at: float
    client: str


@dataclass(frozen=True)
class Session:
    """A session in a list. `session_id` is the hash of the cookie and cannot be used to log in."""

    session_id: str
    started_at: datetime
    expires_at: datetime
    client: str


class Sessions:
    """Starts, verifies and ends sessions. `find_account` reads an account, if possible from memory."""

    def __init__(self, client: "redis.Redis", find_account: Callable[[str], Account | None]) -> None:
        self._redis = client
        self._find_account = find_account
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(Stored)

    def start(self, account: Account, client: str) -> str:
        """Start a session and return the cookie's value. `client` describes the browser, for the list of sessions.

        Raises:
            RetryableError: Redis is unavailable.
        """
        cookie, now = secrets.token_urlsafe(ID_BYTES), time.time()
        stored = Stored(account.username, account.credential_version, now, now + LIFE_S, client[:LONGEST_CLIENT])
        session_id, index = _id_of(cookie), _index(account.username)
        with _available():
            pipeline = self._redis.pipeline(transaction=True)
            pipeline.set(_key(session_id), self._encoder.encode(stored), ex=LIFE_S)
            pipeline.zadd(index, {session_id: now})
            pipeline.expire(index, LIFE_S)
            pipeline.zrange(index, 0, -MOST_PER_ACCOUNT - 1)
            surplus = [one.decode() for one in pipeline.execute()[-1]]
            self._end(account.username, surplus)
        return cookie

    def verify(self, cookie: str) -> Identity:
        """Return the identity of a session.

        Raises:
            NotSignedIn: there is no such session, or its account was changed or disabled after it started.
            RetryableError: Redis is unavailable, or PostgreSQL if the account is not in memory.
        """
        if len(cookie) > LONGEST_COOKIE:
            raise NotSignedIn(ENDED)
        session_id = _id_of(cookie)
        with _available():
            value = cast("bytes | None", self._redis.get(_key(session_id)))
        if value is None:
            raise NotSignedIn(ENDED)
        stored = self._decoder.decode(value)
        account = self._find_account(stored.username)
        is_current = account is not None and account.credential_version == stored.credential_version
        if account is None or not is_current or account.disabled_at is not None or stored.expires_at < time.time():
            raise NotSignedIn(ENDED)
        return account.identity(f"session:{session_id}")

    def listed(self, username: str) -> list[Session]:
        """Return the sessions of an account, newest first.

        Raises:
            RetryableError: Redis is unavailable.
        """
        with _available():
            ids = [one.decode() for one in cast("list[bytes]", self._redis.zrevrange(_index(username), 0, -1))]
            values = cast("list[bytes | None]", self._redis.mget([_key(one) for one in ids])) if ids else []
        found = []
        for session_id, value in zip(ids, values, strict=True):
            if value is not None:
                stored = self._decoder.decode(value)
                started, ends = (datetime.fromtimestamp(at, UTC) for at in (stored.started_at, stored.expires_at))
                found.append(Session(session_id, started, ends, stored.client))
        return found

    def end(self, username: str, session_id: str) -> bool:
        """End a session of an account. Return whether there was one.

        Raises:
            RetryableError: Redis is unavailable.
        """
        with _available():
            if self._redis.zscore(_index(username), session_id) is None:
                return False
            return self._end(username, [session_id]) > 0

    def end_by_cookie(self, cookie: str) -> str | None:
        """End the session of a cookie. Return its account's user name, or None if there was no session.

        Raises:
            RetryableError: Redis is unavailable.
        """
        session_id = _id_of(cookie)
        with _available():
            value = cast("bytes | None", self._redis.get(_key(session_id)))
            if value is None:
                return None
            username = self._decoder.decode(value).username
            self._end(username, [session_id])
        return username

    def end_all(self, username: str) -> None:
        """Delete every session of an account.

        Changing the account's password ends them anyway, so this only frees memory and logs a failure.
        """
        try:
            ids = [one.decode() for one in cast("list[bytes]", self._redis.zrange(_index(username), 0, -1))]
            self._end(username, ids)
        except redis.RedisError as error:
            get_logger(__name__).warning("ended sessions stay in Redis until they expire", error=str(error))

    def _end(self, username: str, ids: list[str]) -> int:
        if not ids:
            return 0
        pipeline = self._redis.pipeline(transaction=True)
        pipeline.delete(*(_key(one) for one in ids))
        pipeline.zrem(_index(username), *ids)
        return int(pipeline.execute()[0])


@contextmanager
def _available() -> Iterator[None]:
    try:
        yield
    except redis.RedisError as error:
        get_logger(__name__).warning("sessions are not available", error=str(error))
        raise RetryableError(UNAVAILABLE) from error


def _id_of(cookie: str) -> str:
    return hashlib.sha256(cookie.encode("utf-8", "replace")).hexdigest()


def _key(session_id: str) -> str:
    return f"okr:session:{session_id}"


def _index(username: str) -> str:
    return f"okr:sessions:{hashlib.sha256(username.encode('utf-8', 'replace')).hexdigest()}"
