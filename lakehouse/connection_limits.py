"""Timeouts of PostgreSQL connections: connecting, keepalives, statements, locks and idle transactions.

`lakehouse.warehouse` applies them to every connection. ADR 13 gives the reasons.
"""

from dataclasses import dataclass

# With these settings, a lost peer (power cut, dropped route) is detected after about a minute.
NETWORK_TIMEOUTS = {
    "connect_timeout": "10",
    "keepalives": "1",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
}
GRACE_S = 15.0  # extra time for the server to report that it cancelled a statement


@dataclass(frozen=True)
class Limits:
    """Maximum durations, in seconds, of statements, lock waits and idle transactions (0: no limit).

    The server enforces these limits. If the server is frozen or the network drops packets, the client gives up
    `grace_s` seconds after the statement's limit.
    """

    statement_s: int = 600
    lock_s: int = 300
    idle_s: int = 900
    grace_s: float = GRACE_S

    @property
    def response_s(self) -> float | None:
        """Return how long the client waits for the server's response to a statement; None: without a limit."""
        return self.statement_s + self.grace_s if self.statement_s else None

    @property
    def options(self) -> str:
        """Return the limits and the time zone UTC as `options` for libpq."""
        return (
            f"-c timezone=UTC -c statement_timeout={self.statement_s}s -c lock_timeout={self.lock_s}s "
            f"-c idle_in_transaction_session_timeout={self.idle_s}s"
        )


BATCH = Limits()
CONSUMER = Limits(statement_s=120, lock_s=60, idle_s=60)
