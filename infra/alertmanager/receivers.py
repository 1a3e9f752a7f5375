"""Where Alertmanager sends alerts: the API, and optionally people and a heartbeat service, from a TOML file."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lakehouse.errors import PermanentError

# Each table of the file, with its required and its optional keys.
TABLES: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "api": (("url", "key_file"), ("ca_file",)),
    "mail": (("to", "from", "server"), ("user", "password_file")),
    "webhook": (("url_file",), ()),
    "heartbeat": (("url_file",), ()),
}
EXAMPLE = "infra/alertmanager/receivers.example.toml is an example"


@dataclass(frozen=True)
class Mail:
    """How alerts are mailed. `password_file` is read by Alertmanager, not by us."""

    to: str
    sender: str
    server: str
    user: str = ""
    password_file: str = ""


@dataclass(frozen=True)
class Receivers:
    """Who gets alerts. The addresses of `webhook_url` and `heartbeat_url` contain a secret."""

    api_url: str
    key_file: Path
    ca_file: str = ""
    mail: Mail | None = None
    webhook_url: str = field(default="", repr=False)
    heartbeat_url: str = field(default="", repr=False)

    @property
    def notifies_people(self) -> bool:
        """Whether anybody is notified."""
        return self.mail is not None or bool(self.webhook_url)

    def statements(self) -> list[str]:
        """Return what happens to alerts, one sentence for each receiver, without secrets."""
        api = f"Every alert is recorded by {self.api_url}."
        if not self.notifies_people:
            people = (
                "No receiver for people is configured, so nobody is notified: alerts are only recorded and shown on "
                f"the page {self.api_url}/alerts. Add [mail] or [webhook] to the file ({EXAMPLE})."
            )
        else:
            ways = [f"mail to {self.mail.to}"] if self.mail else []
            ways += [f"a webhook at {urlsplit(self.webhook_url).hostname}"] if self.webhook_url else []
            people = f"People are notified by {' and '.join(ways)}."
        heartbeat = (
            f"The dead man's switch is sent to {urlsplit(self.heartbeat_url).hostname} every minute."
            if self.heartbeat_url
            else "No [heartbeat] is configured, so nobody notices when Prometheus or Alertmanager stops, except on the "
            "page of alerts."
        )
        return [api, people, heartbeat]


def read_receivers(file: Path) -> Receivers:
    """Read the file and the addresses in the files that it names.

    Raises:
        PermanentError: a file is missing or invalid; the message has a line for each error, and no secret.
    """
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PermanentError(f"{file} is missing; {EXAMPLE}.") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PermanentError(f"{file} cannot be read: {error}.") from error
    if errors := [*_errors(content)]:
        raise PermanentError("\n  ".join([f"{file} is invalid, and nothing was changed:", *errors]))
    api, mail = content["api"], content.get("mail")
    return Receivers(
        api_url=api["url"].rstrip("/"),
        key_file=Path(api["key_file"]),
        ca_file=api.get("ca_file", ""),
        mail=Mail(mail["to"], mail["from"], mail["server"], mail.get("user", ""), mail.get("password_file", ""))
        if mail
        else None,
        webhook_url=_secret_url(content, "webhook"),
        heartbeat_url=_secret_url(content, "heartbeat"),
    )


def _errors(content: Mapping[str, Any]) -> Iterator[str]:
    for name in content.keys() - TABLES.keys():
        yield f"[{name}] is unknown. Expected {', '.join(f'[{each}]' for each in TABLES)}."
    if "api" not in content:
        yield "[api] is missing. Expected the url of the API and the key_file with which alerts are recorded."
    for name, (required, optional) in TABLES.items():
        if name in content:
            yield from _errors_of_table(name, content[name], required, optional)


def _errors_of_table(name: str, table: Any, required: tuple[str, ...], optional: tuple[str, ...]) -> Iterator[str]:
    if not isinstance(table, dict):
        yield f"{name} is not a table. Expected [{name}]."
        return
    for key in required:
        if key not in table:
            yield f"[{name}] lacks {key}."
    for key, value in table.items():
        if key not in (*required, *optional):
            yield f"[{name}] has the unknown key {key!r}. Expected {', '.join((*required, *optional))}."
        elif not isinstance(value, str) or not value or not value.isprintable():
            yield f"[{name}] {key} must be a text on one line that is not empty."
        elif key == "url" and not _is_address(value):
            yield f"[{name}] {key} must be http:// or https://, a host and nothing behind it, got {value!r}."
        elif key == "server" and not value.rpartition(":")[2].isdecimal():
            yield f"[{name}] server must be host:port, got {value!r}."


def _is_address(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.path in ("", "/") and not parts.query


def _secret_url(content: Mapping[str, Any], table: str) -> str:
    if table not in content:
        return ""
    file = Path(content[table]["url_file"])
    try:
        url = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise PermanentError(
            f"[{table}] url_file: {file} cannot be read ({error}). It must contain an address."
        ) from None
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname or not url.isprintable():
        raise PermanentError(f"[{table}] url_file: {file} must contain one address that begins with https://.")
    return url
