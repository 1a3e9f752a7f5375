"""Lost, weak, default and equal secrets, including those in the addresses of servers. No finding contains a secret."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from infra.audit import lost_secrets
from infra.audit.finding import Finding, NotChecked
from infra.audit.installation import Installation
from infra.redis import users as redis_users
from lakehouse.configuration.requirements import MIN_SECRET_LENGTH
from lakehouse.environment import CREDENTIALS
from lakehouse.settings import Settings, secret_fields
from lakehouse.warehouse import parts_of

DISTINCT = MIN_SECRET_LENGTH // 2
# Parts of passwords that examples, images and packages come with.
DEFAULTS = ("password", "changeme", "change_me", "secret", "admin", "postgres", "airflow", "mlflow", "okr", "12345")
ACTION = "`openssl rand -hex 24` makes one; change it on the server and in the setting."


@dataclass(frozen=True)
class Secret:
    """A secret, with the login that it belongs to: several settings can contain the same login."""

    setting: str
    login: str
    value: str


def check(installation: Installation) -> Iterator[Finding]:
    """Yield a finding for each secret that is lost, weak, a default, or equal to the secret of another login.

    Raises:
        NotChecked: no secret is set.
    """
    lost, secrets = [*lost_secrets.findings(installation.settings)], [*_secrets(installation.settings)]
    if not lost and not secrets:
        raise NotChecked("no secret is set")
    yield from lost
    first_with: dict[str, Secret] = {}
    for secret in secrets:
        if problem := _weakness(secret):
            yield Finding(
                secret.setting, f"a random secret of at least {MIN_SECRET_LENGTH} characters", problem, ACTION
            )
        first = first_with.setdefault(secret.value, secret)
        if first.login != secret.login:
            yield Finding(secret.setting, "a secret of its own", f"the same one as in {first.setting}", ACTION)


def _weakness(secret: Secret) -> str | None:
    if not secret.value:
        return "none"
    lower = secret.value.lower()
    if lower == secret.login.lower() or any(lower.startswith(word) for word in DEFAULTS):
        return "a default"
    if len(secret.value) < MIN_SECRET_LENGTH:
        return f"{len(secret.value)} characters"
    if len(set(secret.value)) < DISTINCT:
        return f"only {len(set(secret.value))} different characters"
    return None


def _secrets(settings: Settings) -> Iterator[Secret]:
    values = {f"OKR_{field.upper()}": getattr(settings, field).get_secret_value() for field in secret_fields()}
    folder = os.environ.get(CREDENTIALS)  # on a server, it also has secrets that are not settings
    for file in sorted(Path(folder).glob("okr_*")) if folder else ():
        values.setdefault(file.name.upper(), file.read_text(encoding="utf-8").removesuffix("\n"))
    for name, value in values.items():
        scheme, separator, _ = value.partition("://")
        if separator and scheme.startswith("postgresql"):
            parts = parts_of(value)
            # Without a password, the server must identify the client in another way: a certificate, or its user.
            if parts["password"] or not ("sslcert" in parts or parts["host"].startswith("/")):
                yield Secret(name, f"postgresql {parts['user']}", parts["password"])
        elif separator and scheme in ("redis", "rediss"):
            url = urlsplit(value)
            yield Secret(name, f"redis {url.username}", unquote(url.password or ""))
        elif value and scheme != "sqlite":
            yield Secret(name, _login(name, settings), value)


def _login(name: str, settings: Settings) -> str:
    """Return the login of a password that another setting or file may also contain, or the name itself."""
    if name == "OKR_KAFKA_PASSWORD":
        return f"kafka {settings.kafka_user}"
    if name.startswith("OKR_KAFKA_PASSWORD_"):
        return f"kafka okr-{name.removeprefix('OKR_KAFKA_PASSWORD_').lower()}"
    return f"redis {redis_users.ADMIN}" if name == "OKR_REDIS_ADMIN" else name
