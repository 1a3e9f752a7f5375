"""How Kafka clients reach the brokers: addresses, encryption and login. All clients of ours use this module."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

from lakehouse.errors import RetryableError
from lakehouse.tls_problems import listens, server_problem, speaks_tls

if TYPE_CHECKING:
    from confluent_kafka import KafkaError

    from lakehouse.settings import Settings

LOGIN_SECONDS = 3.0
SCRAM = "SCRAM-SHA-512"  # unlike PLAIN, it does not send the password, and the broker does not store it
_SERVER = re.compile(r"^\w+://(?P<host>[^/]+):(?P<port>\d+)/")  # at the start of the client's error texts
_DURATION = re.compile(r" \(after \d+ms in state \w+.*\)$")  # at their end


class SecurityProtocol(StrEnum):
    """How clients connect, spelt as Kafka spells it."""

    PLAINTEXT = "PLAINTEXT"
    SASL_SSL = "SASL_SSL"


@dataclass(frozen=True)
class KafkaConnection:
    """The addresses of brokers (host:port, separated by commas), and the login of one service."""

    bootstrap: str
    protocol: SecurityProtocol = SecurityProtocol.PLAINTEXT
    ca_file: str = ""
    user: str = ""
    password: str = field(default="", repr=False)

    @classmethod
    def of(cls, settings: "Settings") -> Self:
        """Return the connection of this process.

        Raises:
            PermanentError: the addresses, or the user or password for SASL_SSL, are missing.
        """
        bootstrap = settings.require("kafka_bootstrap")
        if settings.kafka_security_protocol is SecurityProtocol.PLAINTEXT:
            return cls(bootstrap)
        user, password = settings.require("kafka_user"), settings.require("kafka_password")
        return cls(bootstrap, settings.kafka_security_protocol, settings.ca_file, user, password)

    def client_settings(self) -> dict[str, Any]:
        """Return the part of a client's configuration that all clients share."""
        # With log_level 0, the client does not log connection attempts to standard error, bypassing our log.
        shared: dict[str, Any] = {"bootstrap.servers": self.bootstrap, "log_level": 0}
        if self.protocol is SecurityProtocol.PLAINTEXT:
            return shared
        authorities = {"ssl.ca.location": self.ca_file} if self.ca_file else {}  # by default, those of the system
        return shared | authorities | {
            "security.protocol": self.protocol.value,
            "ssl.endpoint.identification.algorithm": "https",  # the certificate must be for the host
            "sasl.mechanisms": SCRAM,
            "sasl.username": self.user,
            "sasl.password": self.password,
        }  # fmt: skip

    def problem(self) -> str | None:
        """Return why the configuration or a certificate prevents connections to all brokers; None if it does not.

        It connects to each broker, which takes seconds if they do not respond. The client itself retries forever and
        reports only that all brokers are down.
        """
        problems = [self._server_problem(host, port) for host, port in self._servers()]
        if problems and all(problems):
            return problems[0]
        return self._login_problem() if self.protocol is SecurityProtocol.SASL_SSL else None

    def require_usable(self) -> None:
        """Call this after a failed attempt to connect, to report a problem that waiting does not solve.

        Raises:
            RetryableError: there is such a problem. Once it is solved, the process succeeds after a restart.
        """
        if problem := self.problem():
            raise RetryableError(f"Kafka at {self.bootstrap} cannot be used: {problem}")

    def explain(self, error: "KafkaError") -> str:
        """Return what an error of a client means and what to do about it; by default, the client's text."""
        from confluent_kafka import KafkaError

        text = _DURATION.sub("", error.str())
        match error.code():
            case KafkaError._AUTHENTICATION:
                return (
                    f"Kafka rejects the login of user {self.user!r}. Check OKR_KAFKA_USER and OKR_KAFKA_PASSWORD "
                    f"({text.rpartition(': ')[2]})."
                )
            case KafkaError._SSL if server := _SERVER.match(text):
                return self._server_problem(server["host"].strip("[]"), int(server["port"])) or text
            case (
                KafkaError.TOPIC_AUTHORIZATION_FAILED
                | KafkaError.GROUP_AUTHORIZATION_FAILED
                | KafkaError.CLUSTER_AUTHORIZATION_FAILED
            ):
                return f"{text}. User {self.user!r} has no right to do this: `okr kafka access` shows and sets rights."
        return text

    def _servers(self) -> Iterator[tuple[str, int]]:
        for server in filter(None, (part.strip() for part in self.bootstrap.split(","))):
            host, _, port = server.rpartition(":")
            if port.isdecimal():  # other addresses are errors of the settings
                yield host.strip("[]"), int(port)

    def _server_problem(self, host: str, port: int) -> str | None:
        if not listens(host, port):
            return None  # it may be starting
        if self.protocol is SecurityProtocol.SASL_SSL:
            return server_problem(host, port, self.ca_file)
        if speaks_tls(host, port):
            return f"{host}:{port} expects TLS. Set OKR_KAFKA_SECURITY_PROTOCOL to {SecurityProtocol.SASL_SSL}."
        return None

    def _login_problem(self) -> str | None:
        from confluent_kafka import KafkaError, KafkaException
        from confluent_kafka.admin import AdminClient

        errors: list[KafkaError] = []
        client = AdminClient(self.client_settings() | {"error_cb": errors.append})
        deadline = time.monotonic() + LOGIN_SECONDS
        while time.monotonic() < deadline:
            try:
                client.list_topics(timeout=0.5)
            except KafkaException:
                client.poll(0)  # calls error_cb
            else:
                return None
            if rejected := [error for error in errors if error.code() == KafkaError._AUTHENTICATION]:
                return self.explain(rejected[0])
        return None
