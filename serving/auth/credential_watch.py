"""The thread that keeps a worker's knowledge of revocations and signing keys current."""

import threading
import time
from contextlib import closing
from pathlib import Path

import psycopg

from lakehouse.background import BackgroundThread
from lakehouse.connection_limits import Limits
from lakehouse.errors import RetryableError
from lakehouse.logs import get_logger
from lakehouse.warehouse import connect
from serving.auth.api_key_usage import ApiKeyUsage
from serving.auth.revocations import Revocations
from serving.auth.signing_keys import LEARNED_AFTER_S, SigningKeys
from serving.publication_reader import Connection, Reader

PACKAGE = "serving.auth"
POLL_EVERY_S = 1.0
FLUSH_EVERY_S = 10.0
LOAD_KEYS_EVERY_S = LEARNED_AFTER_S / 2
CLEAN_EVERY_S = 600.0
LIMITS = Limits(statement_s=5, lock_s=2, idle_s=60, grace_s=2)


class CredentialWatch:
    """Polls PostgreSQL over its own connection, so that busy requests do not delay revocations."""

    def __init__(
        self, dsn: str, revocations: Revocations, keys: SigningKeys, usage: ApiKeyUsage, *, state: Path
    ) -> None:
        self._dsn = dsn
        self._revocations = revocations
        self._keys = keys
        self._usage = usage
        self._stopping = threading.Event()
        self.thread = BackgroundThread("credentials", self._run, self._stopping, state=state)

    def start(self) -> None:
        """Start the thread."""
        self.thread.start()

    def stop(self) -> None:
        """Write the last uses of API keys and stop."""
        self._stopping.set()
        self.thread.join(5)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._poll_until_stopped()
            except (RetryableError, psycopg.OperationalError) as error:
                # A failed thread pauses for up to 30 s. Once PostgreSQL is back, no revocation may wait that long.
                get_logger(__name__).warning("revocations cannot be read", error=str(error))
                self._stopping.wait(POLL_EVERY_S)

    def _poll_until_stopped(self) -> None:
        with closing(connect(self._dsn, application="okr-credentials", autocommit=True, limits=LIMITS)) as connection:
            due = {name: time.monotonic() for name in ("flush", "keys")}
            due["clean"] = time.monotonic() + CLEAN_EVERY_S
            while True:
                self._revocations.poll(connection)
                self._do_due(connection, due)
                self.thread.report_success()
                if self._stopping.wait(POLL_EVERY_S):
                    break
            self._usage.flush(connection)

    def _do_due(self, connection: Connection, due: dict[str, float]) -> None:
        now = time.monotonic()
        if now >= due["flush"]:
            self._usage.flush(connection)
            due["flush"] = now + FLUSH_EVERY_S
        if now >= due["keys"]:
            self._keys.load_from(connection)
            due["keys"] = now + LOAD_KEYS_EVERY_S
        if now >= due["clean"]:
            Reader(connection).rows(PACKAGE, "delete_expired_credentials")
            due["clean"] = now + CLEAN_EVERY_S
