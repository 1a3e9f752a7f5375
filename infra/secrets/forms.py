"""The forms of secrets: how one is made, and what is wrong with one that somebody wrote by hand."""

import base64
import re
import secrets
from abc import ABC, abstractmethod
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from lakehouse.configuration.requirements import MIN_SECRET_LENGTH
from lakehouse.errors import PermanentError
from lakehouse.field_encryption.key_file import KeyFile
from lakehouse.warehouse import parts_of

PASSWORD_BYTES = 24
URL_SAFE = "A-Z a-z 0-9 - . _ ~"
_FERNET = re.compile(r"[A-Za-z0-9_-]{43}")
_URL_SAFE = re.compile(r"[A-Za-z0-9_.~-]+")


@dataclass(frozen=True)
class Addresses:
    """The servers whose addresses contain passwords, as host:port, and the file of authorities on the clients."""

    postgres: str
    redis: str
    ca_file: str


class Form(ABC):
    """What a secret looks like. `text` is for the docs."""

    @property
    @abstractmethod
    def text(self) -> str:
        """Return the form in words."""

    @abstractmethod
    def new(self, addresses: Addresses) -> str:
        """Return a new secret, or nothing if only another program can make it."""

    @abstractmethod
    def problem(self, value: str) -> str | None:
        """Return what is wrong with a secret, without any part of it (a wrong address may be a password), or None."""

    def password(self, value: str) -> str:
        """Return the part that no other secret may contain."""
        return value


@dataclass(frozen=True)
class Password(Form):
    """Random text, of `size` random bytes if it is generated, and of at least `least` characters in any case."""

    size: int = PASSWORD_BYTES
    least: int = MIN_SECRET_LENGTH

    @property
    def text(self) -> str:
        """Return the form in words."""
        return f"at least {self.least} random characters"

    def new(self, addresses: Addresses) -> str:
        """Return URL-safe text."""
        return secrets.token_urlsafe(self.size)

    def problem(self, value: str) -> str | None:
        """Return what is wrong: the length, few different characters, or spaces."""
        if len(value) < self.least or len(set(value)) < MIN_SECRET_LENGTH // 2:
            return f"{len(value)} characters, {len(set(value))} of them different"
        return "spaces or line breaks" if value.split() != [value] else None


@dataclass(frozen=True)
class FernetKey(Form):
    """Airflow's key: 32 bytes in URL-safe base64, without the padding, which infra/local/airflow.py adds."""

    @property
    def text(self) -> str:
        """Return the form in words."""
        return "32 bytes in URL-safe base64, without the `=` at the end (43 characters)"

    def new(self, addresses: Addresses) -> str:
        """Return a key."""
        return secrets.token_urlsafe(32)

    def problem(self, value: str) -> str | None:
        """Return what is wrong: the alphabet or the number of characters."""
        return None if _FERNET.fullmatch(value) else f"{len(value)} characters that are not 32 bytes in this form"


@dataclass(frozen=True)
class KeyEncryptionKeys(Form):
    """The key file of personal fields (docs/encryption.md)."""

    @property
    def text(self) -> str:
        """Return the form in words."""
        return "32 bytes in base64 (44 characters); several keys: one per line, the current one first"

    def new(self, addresses: Addresses) -> str:
        """Return a file with one key."""
        return base64.b64encode(secrets.token_bytes(32)).decode()

    def problem(self, value: str) -> str | None:
        """Return what is wrong with a key of the file."""
        try:
            KeyFile(value)
        except PermanentError as error:
            return str(error)
        return None


@dataclass(frozen=True)
class PrivateKey(Form):
    """The key of a certificate, which `okr certificates` makes. It is optional, so nothing is generated."""

    @property
    def text(self) -> str:
        """Return the form in words."""
        return "a key in PEM, without a password; only with several hosts"

    def new(self, addresses: Addresses) -> str:
        """Return nothing."""
        return ""

    def problem(self, value: str) -> str | None:
        """Return what is wrong: another form, or a password."""
        try:
            load_pem_private_key(value.encode(), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            return "text that is no such key"
        return None


@dataclass(frozen=True)
class Dsn(Form):
    """The address of a database, with the password of its role."""

    role: str
    database: str = "okr"

    @property
    def text(self) -> str:
        """Return the form in words."""
        return (
            f"`postgresql://{self.role}:<password>@<host>:5432/{self.database}?sslmode=verify-full&sslrootcert=<file>`"
        )

    def new(self, addresses: Addresses) -> str:
        """Return an address with a new password."""
        return self.with_password(secrets.token_urlsafe(PASSWORD_BYTES), addresses)

    def with_password(self, password: str, addresses: Addresses) -> str:
        """Return an address with this password."""
        verified = f"sslmode=verify-full&sslrootcert={addresses.ca_file}"
        return f"postgresql://{self.role}:{password}@{addresses.postgres}/{self.database}?{verified}"

    def problem(self, value: str) -> str | None:
        """Return what is wrong: the form of the address, the role, the database, or the password."""
        if urlsplit(value).scheme != "postgresql":
            return "an address that does not start with postgresql://"
        try:
            parts = parts_of(value)
        except PermanentError:
            return f"an invalid address. Are all characters of the password URL-safe ({URL_SAFE})?"
        if (parts["user"], parts["dbname"]) != (self.role, self.database):
            return f"another role or database, or a password that is not URL-safe ({URL_SAFE})"
        return _address_problem(parts["password"])

    def password(self, value: str) -> str:
        """Return the password in the address."""
        return parts_of(value)["password"]


@dataclass(frozen=True)
class RedisUrl(Form):
    """The address of Redis, with the password of a user."""

    user: str

    @property
    def text(self) -> str:
        """Return the form in words."""
        return f"`rediss://{self.user}:<password>@<host>:6379/0`"

    def new(self, addresses: Addresses) -> str:
        """Return an address with a new password."""
        return self.with_password(secrets.token_urlsafe(PASSWORD_BYTES), addresses)

    def with_password(self, password: str, addresses: Addresses) -> str:
        """Return an address with this password."""
        return f"rediss://{self.user}:{password}@{addresses.redis}/0"

    def problem(self, value: str) -> str | None:
        """Return what is wrong: the scheme, the user, or the password."""
        url = urlsplit(value)
        if url.scheme not in ("redis", "rediss"):
            return "an address that does not start with rediss://"
        if url.username != self.user:
            return "another user"
        return _address_problem(url.password or "")

    def password(self, value: str) -> str:
        """Return the password in the address."""
        return unquote(urlsplit(value).password or "")


def _address_problem(password: str) -> str | None:
    problem = Password().problem(password)
    if problem:
        return f"a password with {problem}"
    return None if _URL_SAFE.fullmatch(password) else f"a password with other characters than {URL_SAFE}"
