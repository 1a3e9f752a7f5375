"""The actor of a change. Rules limit what it may change, and the audit log names it."""

from dataclasses import dataclass

from serving.auth.roles import Identity


@dataclass(frozen=True)
class Actor:
    """An account, or `os:<user>` for a command of this host, and the client's address.

    `identity` is the account's identity, which limits what it may change. Commands have no identity: every user who can
    run them on the host may change everything.
    """

    name: str
    address: str | None = None
    identity: Identity | None = None
