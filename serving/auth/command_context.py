"""Helpers of the commands for accounts and credentials: build the services, and name the user of the command."""

import getpass
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lakehouse.redis_connection import redis_address

if TYPE_CHECKING:
    from serving.auth.actor import Actor
    from serving.auth.audit_log import Outcome
    from serving.auth.auth_services import Auth
    from serving.publication_reader import Warehouse


def actor() -> "Actor":
    """Return the user of the operating system, for the audit log."""
    from serving.auth.actor import Actor

    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a uid without an entry in /etc/passwd
        user = str(os.getuid())
    return Actor(f"os:{user}")


@contextmanager
def auth_services() -> Iterator[tuple["Auth", "Warehouse"]]:
    """Yield the services of authentication and the warehouse. They work whether or not the API runs."""
    from lakehouse.settings import load_settings
    from serving.auth.auth_services import build_auth
    from serving.redis_client import redis_client
    from serving.warehouses import Warehouses

    settings = load_settings()
    warehouses = Warehouses.from_settings(settings)
    client = redis_client(redis_address(settings, "redis_url"), limit_s=1)
    warehouses.open()
    try:
        yield build_auth(settings, warehouses, client), warehouses.installation
    finally:
        warehouses.close()
        client.close()


def record_action(action: str, subject: str, outcome: "Outcome", details: Mapping[str, Any]) -> None:
    """Append an action of the command's user to the audit log (lakehouse/operator_actions.py).

    Raises:
        PermanentError: OKR_DSN_SERVING or OKR_JWT_SECRET is missing.
        RetryableError: PostgreSQL is unavailable.
        psycopg.Error: the warehouse has no audit log yet.
    """
    from lakehouse.settings import load_settings
    from serving.auth.audit_log import AuditLog, Event
    from serving.auth.auth_services import audit_chain
    from serving.publication_reader import Warehouse

    settings = load_settings()
    chain = audit_chain(settings.require("jwt_secret"))
    warehouse = Warehouse(settings.require("dsn_serving"))
    warehouse.open()
    try:
        AuditLog(warehouse, chain).record(Event(action, actor().name, subject, outcome, details=dict(details)))
    finally:
        warehouse.close()
