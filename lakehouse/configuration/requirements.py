"""The rules for settings, most of them only for staging and production. Each violation is one line that names the fix.

The rules apply to settings that are set: a process has only the secrets that it needs. No line contains a secret.
"""

import ipaddress
import os
from collections.abc import Iterator
from urllib.parse import urlsplit

from lakehouse.client_tls import ClientTls
from lakehouse.errors import PermanentError
from lakehouse.field_encryption.key_file import KeyFile
from lakehouse.kafka_connection import SecurityProtocol
from lakehouse.log_records import levels
from lakehouse.postgres_tls import OF_THE_SYSTEM
from lakehouse.settings import Settings
from lakehouse.tls_problems import client_context

MIN_SECRET_LENGTH = 16
MIN_JWT_SECRET_BYTES = 32  # in every environment, because keys are derived from it
DSNS = (
    "pg_superuser_dsn", "dsn_owner", "dsn_loader", "dsn_landing", "dsn_metrics", "dsn_transform", "dsn_serving",
    "dsn_organisation", "dsn_backup", "dsn_analyst", "mlflow_store_uri", "airflow_dsn",
)  # fmt: skip
REDIS_URLS = ("redis_url", "redis_state_url", "redis_metrics_url", "redis_admin_url")
PAGES = ("airflow_url", "mlflow_url")
SECRETS = (
    "jwt_secret", "metrics_token", "admin_password", "lead_password", "app_password", "airflow_password",
    "airflow_serving_password", "airflow_landing_password", "mlflow_password", "kafka_password", "backup_password",
)  # fmt: skip
VERIFIED = "verify-full"
UNVERIFIED = ("ssl_cert_reqs", "ssl_check_hostname")  # parameters of redis-py; by default, both are checked


def violations(settings: Settings) -> list[str]:
    """Return what is wrong with the settings in their environment, one line each."""
    found = [*_malformed(settings), *_short_jwt_secret(settings), *_unreadable_keys(settings)]
    if settings.environment.is_shared:
        found += [*_weak_secrets(settings), *_unencrypted(settings)]
    return found


def _malformed(settings: Settings) -> Iterator[str]:
    for word in filter(None, (part.strip() for part in settings.trusted_proxies.split(","))):
        if word == "unix":
            continue
        try:
            ipaddress.ip_network(word, strict=False)
        except ValueError:
            yield (
                f"OKR_TRUSTED_PROXIES: {word!r} is not an IP address or network. Expected for example "
                "10.0.0.5,10.1.0.0/16, or unix for a UNIX socket."
            )
    for server in filter(None, (part.strip() for part in settings.kafka_bootstrap.split(","))):
        host, colon, port = server.rpartition(":")
        if not (host and colon and port.isdecimal() and 0 < int(port) < 65_536):
            yield f"OKR_KAFKA_BOOTSTRAP: {server!r} is not an address. Expected host:port, separated by commas."
    try:
        levels.parse(settings.log_level)
    except PermanentError as error:
        yield f"OKR_LOG_LEVEL: {error}"
    if settings.ca_file:
        try:
            client_context(settings.ca_file)
        except OSError as error:  # ssl.SSLError is one
            yield f"OKR_CA_FILE: {settings.ca_file} has no readable certificates in PEM ({error})."
    yield from _unusable_client_certificate(settings)


def _unusable_client_certificate(settings: Settings) -> Iterator[str]:
    certificate, key = settings.client_certificate, settings.client_key.get_secret_value()
    if certificate and key:
        try:
            ClientTls(certificate=certificate, key=key).context()
        except OSError as error:  # ssl.SSLError is one
            yield (
                f"OKR_CLIENT_CERTIFICATE: expected a PEM file with the certificate of OKR_CLIENT_KEY, got "
                f"{certificate} ({error})."
            )


def _short_jwt_secret(settings: Settings) -> Iterator[str]:
    size = len(settings.jwt_secret.get_secret_value().encode())
    if 0 < size < MIN_JWT_SECRET_BYTES:
        yield (
            f"OKR_JWT_SECRET is too short: expected at least {MIN_JWT_SECRET_BYTES} bytes, got {size}. "
            "`openssl rand -hex 32` makes one."
        )


def _unreadable_keys(settings: Settings) -> Iterator[str]:
    text = settings.field_encryption_key.get_secret_value()
    try:
        if text:
            KeyFile(text)
    except PermanentError as error:
        yield str(error)


def _weak_secrets(settings: Settings) -> Iterator[str]:
    seen: dict[str, str] = {}
    for field in SECRETS:
        value = getattr(settings, field).get_secret_value()
        if not value:
            continue
        name = f"OKR_{field.upper()}"
        is_reported = field == "jwt_secret" and any(_short_jwt_secret(settings))
        is_weak = len(value) < MIN_SECRET_LENGTH or len(set(value)) < MIN_SECRET_LENGTH // 2
        if is_weak and not is_reported:
            yield (
                f"{name} is too weak for {settings.environment}: expected at least {MIN_SECRET_LENGTH} characters, "
                f"{MIN_SECRET_LENGTH // 2} of them different. `openssl rand -hex 24` makes one."
            )
        if value in seen:
            yield f"{name} has the same value as {seen[value]}. Each secret needs its own."
        seen.setdefault(value, name)


def _unencrypted(settings: Settings) -> Iterator[str]:
    hosts = [server.strip().rpartition(":")[0].strip("[]") for server in settings.kafka_bootstrap.split(",")]
    others = [host for host in hosts if host and not is_this_host(host)]
    if others and settings.kafka_security_protocol is not SecurityProtocol.SASL_SSL:
        yield (
            f"OKR_KAFKA_SECURITY_PROTOCOL: Kafka is on another host ({others[0]}), so it must be "
            f"{SecurityProtocol.SASL_SSL}, with OKR_KAFKA_USER and OKR_KAFKA_PASSWORD."
        )
    for field in DSNS:
        yield from _unencrypted_dsn(settings, field)
    for field in REDIS_URLS:
        url = urlsplit(getattr(settings, field).get_secret_value())
        if unverified := [name for name in UNVERIFIED if name in url.query]:
            yield f"OKR_{field.upper()}: {unverified[0]} disables the check of the certificate. Remove it from the URL."
        if url.hostname and url.scheme != "rediss" and not is_this_host(url.hostname):
            yield f"OKR_{field.upper()}: Redis is on another host ({url.hostname}), so the URL must start with rediss://."
    for field in PAGES:
        url = urlsplit(getattr(settings, field))
        if url.hostname and url.scheme != "https" and not is_this_host(url.hostname):
            yield (
                f"OKR_{field.upper()}: the server is on another host ({url.hostname}), so the URL must start with "
                "https://."
            )


def _unencrypted_dsn(settings: Settings, field: str) -> Iterator[str]:
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    dsn = getattr(settings, field).get_secret_value()
    if not dsn or dsn.startswith("sqlite"):
        return
    name = f"OKR_{field.upper()}"
    try:
        parts = conninfo_to_dict(dsn.replace("postgresql+psycopg2://", "postgresql://", 1))
    except ProgrammingError:  # its message can contain the password
        yield f"{name} is not a valid PostgreSQL address. Expected postgresql://user:password@host:port/database."
        return
    mode = str(parts.get("sslmode", "prefer"))
    for host in str(parts.get("host") or "").split(","):
        if host and not host.startswith("/") and mode != VERIFIED and not is_this_host(host):
            yield (
                f"{name}: PostgreSQL is on another host ({host}), so the connection must be verified. Expected "
                f"?sslmode={VERIFIED}&sslrootcert=<file>, got sslmode={mode}."
            )
    authorities = str(parts.get("sslrootcert") or "")
    if mode == VERIFIED and authorities != OF_THE_SYSTEM and not os.access(authorities, os.R_OK):
        found = f"{authorities} cannot be read" if authorities else "it is missing"
        yield f"{name}: sslmode={VERIFIED} needs sslrootcert=<file with the authority's certificate>, but {found}."


def is_this_host(host: str) -> bool:
    """Return whether a name or address belongs to the loopback interface. Names are not looked up."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
