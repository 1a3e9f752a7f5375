"""Timeouts of connections to PostgreSQL: connecting, keepalives, statements, locks and idle transactions.

`lakehouse.warehouse` applies them to every connection; ADR 13 says why each has one.
"""

from dataclasses import dataclass

# A peer that vanished without a word (a power cut, a dropped route) is noticed after about a minute.
PATIENCE = {
    "connect_timeout": "10",
    "keepalives": "1",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
}
GRACE_S = 15.0  # what a server that ends a statement itself is given to say so


@dataclass(frozen=True)
class Limits:
    """How long a statement, a wait for a lock and an idle transaction may last, in seconds (0: without a limit).

    The server enforces them. Where it is frozen, or something between swallows what is sent, the client gives up
    `GRACE_S` after the statement's own limit.
    """

    statement_s: int = 600
    lock_s: int = 300
    idle_s: int = 900

    @property
    def options(self) -> str:
        """Return the limits, and UTC, as libpq's `options`."""
        return (
            f"-c timezone=UTC -c statement_timeout={self.statement_s}s -c lock_timeout={self.lock_s}s "
            f"-c idle_in_transaction_session_timeout={self.idle_s}s"
        )


BATCH = Limits()
CONSUMER = Limits(statement_s=120, lock_s=60, idle_s=60)
