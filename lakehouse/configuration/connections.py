"""Connect to each server that the settings name, and say whether the connection is encrypted or why it fails.

The settings of servers are the same on all hosts, so some name a server that this host does not use: those are skipped.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from lakehouse.client_tls import ClientTls
from lakehouse.configuration.requirements import DSNS, PAGES, REDIS_URLS, is_this_host
from lakehouse.connection_limits import Limits
from lakehouse.errors import OkrError, RetryableError
from lakehouse.http_client import http_client
from lakehouse.kafka_connection import KafkaConnection, SecurityProtocol
from lakehouse.redis_connection import new_client, redis_address
from lakehouse.settings import Settings
from lakehouse.tls_problems import tls_problem
from lakehouse.warehouse import connect, parts_of

LIMIT_S = 5.0
LIMITS = Limits(statement_s=5, lock_s=5, idle_s=5)
NOT_ENCRYPTED = "not encrypted"
UNITS = Path("/etc/systemd/system")
ALL_SERVICES = "okr.target"  # its unit is on each server, and the folder of what it starts says what this host runs
UNIT_OF_PAGE = {"airflow_url": "okr-airflow-api-server.service", "mlflow_url": "okr-mlflow.service"}


@dataclass(frozen=True)
class Attempt:
    """The result of connecting to the server of a setting.

    `text` is the encryption, why the connection failed, or why it was not tried: then `is_connected` is None.
    """

    setting: str
    server: str
    text: str
    is_connected: bool | None


def attempts(settings: Settings) -> Iterator[Attempt]:
    """Yield one attempt for each setting that names a server, in a fixed order."""
    if _has_no_login(settings):
        yield _skipped("kafka_bootstrap", settings.kafka_bootstrap, "this host has no user and password of Kafka")
    elif settings.kafka_bootstrap:
        yield _attempt("kafka_bootstrap", settings.kafka_bootstrap, partial(_kafka, settings))
    for field in DSNS:
        dsn = getattr(settings, field).get_secret_value()
        if dsn and not dsn.startswith("sqlite"):
            parts = parts_of(dsn)
            yield _attempt(field, f"{parts['host']}:{parts['port']}", partial(_postgresql, dsn))
    for field in REDIS_URLS:
        if url := getattr(settings, field).get_secret_value():
            server = f"{urlsplit(url).hostname}:{urlsplit(url).port}"
            yield _attempt(field, server, partial(_redis, redis_address(settings, field)))
    for field in PAGES:
        url = getattr(settings, field)
        if url and _runs_elsewhere(url, UNIT_OF_PAGE[field]):
            yield _skipped(field, url, f"{UNIT_OF_PAGE[field]} is not enabled on this host")
        elif url:
            yield _attempt(field, url, partial(_http, url, ClientTls.of(settings)))


def _attempt(field: str, server: str, run: Callable[[], str]) -> Attempt:
    setting = f"OKR_{field.upper()}"
    try:
        return Attempt(setting, server, run(), is_connected=True)
    except OkrError as error:
        return Attempt(setting, server, " ".join(str(error).split()), is_connected=False)
    except Exception as error:  # client libraries raise their own errors
        text = tls_problem(error, server) or f"{type(error).__name__}: {' '.join(str(error).split())}"
        return Attempt(setting, server, text, is_connected=False)


def _skipped(field: str, server: str, reason: str) -> Attempt:
    return Attempt(f"OKR_{field.upper()}", server, f"not tried: {reason}", is_connected=None)


def _has_no_login(settings: Settings) -> bool:
    needs_login = settings.kafka_bootstrap and settings.kafka_security_protocol is SecurityProtocol.SASL_SSL
    return bool(needs_login) and not settings.kafka_user and not settings.kafka_password.get_secret_value()


def _runs_elsewhere(url: str, unit: str) -> bool:
    """Return whether a page has a loopback address, but this server does not run it."""
    if not is_this_host(urlsplit(url).hostname or "") or not (UNITS / ALL_SERVICES).is_file():
        return False
    return not (UNITS / f"{ALL_SERVICES}.wants" / unit).is_symlink()


def _kafka(settings: Settings) -> str:
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    connection = KafkaConnection.of(settings)
    try:
        AdminClient(connection.client_settings()).list_topics(timeout=LIMIT_S)
    except KafkaException as error:
        connection.require_usable()
        raise RetryableError(f"No broker answered ({error.args[0].str()}).") from error
    return f"{connection.protocol}, user {connection.user}" if connection.user else NOT_ENCRYPTED


def _postgresql(dsn: str) -> str:
    with connect(dsn, application="okr-config", limits=LIMITS) as connection:
        query = "SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
        row = connection.execute(query).fetchone()
        version = row[0] if row is not None else None
        return f"{version or NOT_ENCRYPTED}, role {connection.info.user}"


def _redis(url: str) -> str:
    with new_client(url, LIMIT_S) as client:
        connection = client.connection_pool.make_connection()
        connection.connect()  # logs in, but sends no command, which the user might not be allowed to use
        connection.disconnect()
    parts = urlsplit(url)
    return f"{'TLS' if parts.scheme == 'rediss' else NOT_ENCRYPTED}, user {parts.username}"


def _http(url: str, tls: ClientTls) -> str:
    with http_client(url, timeout_s=LIMIT_S, tls=tls) as client, client.stream("GET", "/") as answer:
        encrypted = answer.extensions["network_stream"].get_extra_info("ssl_object")
        return f"{encrypted.version() if encrypted else NOT_ENCRYPTED}, status {answer.status_code}"
