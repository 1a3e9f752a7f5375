"""Rights in Kafka: each service can do its work, and nothing else."""

import os
import secrets
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer, TopicCollection
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    TopicDescription,
)

from infra.kafka.access import AccessControl
from infra.kafka.rights import LANDING_GROUPS, RIGHTS, STATE_GROUPS, TOPICS, USERS, Kind, Operation, Right
from infra.kafka.topics import PARTITIONS
from infra.kafka.users import KafkaUsers
from ingestion.batch import Limits
from ingestion.bulk_producer import BulkProducer, KeyedMessage
from ingestion.consumer_groups import landing_group, state_group
from ingestion.contract_validation import EncodedEvent
from ingestion.kafka_consumer import KafkaConsumer
from ingestion.ledger.broker import Broker
from ingestion.ledger.offsets import Gap
from ingestion.producer import EventProducer
from ingestion.sources.metrics.queues import Group
from ingestion.sources.metrics.service_probes import kafka_up
from ingestion.spool import Drainer, Spool
from lakehouse.errors import PermanentError, RetryableError
from lakehouse.kafka_connection import KafkaConnection, SecurityProtocol
from lakehouse.settings import Settings
from serving.writes.event_progress import LandedOffsets
from tests.figures import report
from tests.ops.tls.kafka_broker import ADMIN, SecuredBroker

USER_EVENTS, SYSTEM_METRICS, PREDICTIONS, PIPELINE = TOPICS
IMPLIED = {operation: {operation.value, "DESCRIBE"} for operation in Operation}
LIMITS = Limits(rows=100, seconds=20)


@pytest.fixture(scope="module")
def secured(broker: SecuredBroker, tmp_path_factory: pytest.TempPathFactory) -> SecuredBroker:
    """The broker with the users and rights of the table, a message in each topic, and offsets of both groups."""
    users = KafkaUsers(broker.connection())
    for user in USERS:
        broker.passwords[user] = secrets.token_hex(24)
        users.set_password(user, broker.passwords[user])
    AccessControl(broker.connection()).apply()
    with EventProducer(broker.connection()) as producer:
        for topic in TOPICS:
            producer.send_raw(topic, b"key", b"value")
    state = tmp_path_factory.mktemp("state")
    work_as_land(settings_of(broker, "okr-land", state))
    work_as_state(settings_of(broker, "okr-state", state))
    return broker


def settings_of(broker: SecuredBroker, user: str, state: Path) -> Settings:
    return Settings(
        state=state, kafka_bootstrap=broker.connection().bootstrap, kafka_security_protocol=SecurityProtocol.SASL_SSL,
        kafka_user=user, kafka_password=broker.passwords[user], ca_file=str(broker.ca_file), lake_uri="s3://lake",
        dsn_loader="postgresql://db/okr", dsn_metrics="postgresql://db/okr",
    )  # fmt: skip


def send(settings: Settings, source: str, *topics: str) -> None:
    spool = Spool.of(settings, source)
    spool.append([EncodedEvent(topic, b"key", b"value") for topic in topics])
    assert Drainer(spool, KafkaConnection.of(settings)).drain(20).sent == len(topics)


def work_as_api(settings: Settings) -> None:
    send(settings, "okr-api", USER_EVENTS)
    send(settings, "telemetry", SYSTEM_METRICS)
    assert BulkProducer(KafkaConnection.of(settings), PREDICTIONS, "p").send([KeyedMessage(b"k", b"v")], 20) == []
    landed = LandedOffsets(settings)
    assert sum(landed.next_offset(partition) for partition in range(PARTITIONS[USER_EVENTS])) > 0


def consume(settings: Settings, group: str, *topics: str) -> None:
    reader = KafkaConsumer(KafkaConnection.of(settings), group, topics)
    reader.start(lambda partitions: dict.fromkeys(partitions, 0))
    seen: set[str] = set()
    while seen != set(topics):
        batch = reader.poll(LIMITS)
        seen |= {topic for topic, _ in batch.ends()}
        for topic in topics:
            reader.report_stored(topic, batch.spans(topic))
    reader.close()


def work_as_land(settings: Settings) -> None:
    consume(settings, landing_group(settings), *TOPICS)


def work_as_state(settings: Settings) -> None:
    consume(settings, state_group(settings), USER_EVENTS)


def work_as_metrics(settings: Settings) -> None:
    send(settings, "okr-metrics", SYSTEM_METRICS)
    assert next(kafka_up(KafkaConnection.of(settings), "host")).value == 1.0
    assert {topic for topic, _ in Group.landing(settings).offsets().positions} == set(TOPICS)
    assert sum(Group.state(settings).offsets().positions.values()) > 0


def verify(settings: Settings) -> None:
    with Broker(KafkaConnection.of(settings)) as ledger:
        for topic in TOPICS:
            partition = next(number for number, bounds in ledger.bounds(topic).items() if bounds.high)
            assert ledger.has_record(topic, partition, Gap(0, 1))
            assert ledger.log_id(topic)


def work_as_airflow(settings: Settings) -> None:
    send(settings, "okr-dags", PIPELINE)
    verify(settings)


def work_as_operator(settings: Settings) -> None:
    with EventProducer(KafkaConnection.of(settings)) as producer:
        for topic in TOPICS:
            producer.send_raw(topic, b"key", b"value")
    verify(settings)


WORK: dict[str, Callable[[Settings], None]] = {
    "okr-land": work_as_land,
    "okr-state": work_as_state,
    "okr-api": work_as_api,
    "okr-metrics": work_as_metrics,
    "okr-airflow": work_as_airflow,
    "okr-operator": work_as_operator,
}


@pytest.mark.parametrize("user", WORK)
def test_each_service_can_do_its_work(user: str, secured: SecuredBroker, tmp_path: Path) -> None:
    WORK[user](settings_of(secured, user, tmp_path))


def test_every_user_of_the_table_has_work() -> None:
    assert set(WORK) == set(USERS)


@pytest.mark.parametrize("user", USERS)
def test_the_broker_grants_each_service_exactly_the_operations_of_the_table(user: str, secured: SecuredBroker) -> None:
    admin = AdminClient(secured.connection(user).client_settings())
    described = admin.describe_topics(TopicCollection(list(TOPICS)), include_authorized_operations=True)
    for topic, answer in described.items():
        mine = [right for right in RIGHTS if (right.user, right.kind, right.name) == (user, Kind.TOPIC, topic)]
        expected = set().union(*(IMPLIED[right.operation] for right in mine))
        assert operations_of(answer) == expected, topic


def operations_of(answer: "Future[TopicDescription]") -> set[str]:
    """Return what the broker lets the caller do with a topic: nothing if it does not even describe it."""
    try:
        return {operation.name for operation in answer.result().authorized_operations}
    except KafkaException as error:
        if error.args[0].name() != "TOPIC_AUTHORIZATION_FAILED":
            raise
        return set()


@pytest.mark.parametrize(
    ("user", "topic"),
    [("okr-api", PIPELINE), ("okr-airflow", USER_EVENTS), ("okr-metrics", PREDICTIONS)],
)  # fmt: skip
def test_a_service_cannot_write_elsewhere(user: str, topic: str, secured: SecuredBroker) -> None:
    producer = EventProducer(secured.connection(user))
    producer.send_raw(topic, b"key", b"value")
    with pytest.raises(RetryableError, match=rf"User '{user}' has no right to do this: `okr kafka access`"):
        producer.flush(20)


@pytest.mark.parametrize("user", ["okr-land", "okr-state"])
def test_a_service_that_only_reads_cannot_write(user: str, secured: SecuredBroker) -> None:
    errors: list[KafkaError | None] = []
    # Not idempotent: without any right to write, an idempotent client fails as a whole.
    producer = Producer(secured.connection(user).client_settings() | {"enable.idempotence": False})
    producer.produce(USER_EVENTS, b"value", on_delivery=lambda error, _: errors.append(error))
    assert producer.flush(20) == 0
    assert [error and error.name() for error in errors] == ["TOPIC_AUTHORIZATION_FAILED"]


@pytest.mark.parametrize(
    ("user", "group", "topic"),
    [("okr-api", f"{LANDING_GROUPS}x", USER_EVENTS), ("okr-state", f"{LANDING_GROUPS}x", USER_EVENTS),
     ("okr-land", f"{STATE_GROUPS}x", USER_EVENTS), ("okr-metrics", f"{LANDING_GROUPS}x", USER_EVENTS)],
)  # fmt: skip
def test_a_service_cannot_join_the_group_of_another(user: str, group: str, topic: str, secured: SecuredBroker) -> None:
    reader = KafkaConsumer(secured.connection(user), group, [topic])
    reader.start(lambda partitions: dict.fromkeys(partitions, 0))
    with pytest.raises(RetryableError, match=rf"User '{user}' has no right to do this"):
        reader.poll(LIMITS)
    reader.close()


def test_a_service_cannot_see_other_topics_or_delete_its_own(secured: SecuredBroker) -> None:
    with pytest.raises(RetryableError, match=r"it has no topic okr_system_metrics that user 'okr-state' may read"):
        KafkaConsumer(secured.connection("okr-state"), f"{STATE_GROUPS}x", [SYSTEM_METRICS])
    admin = AdminClient(secured.connection("okr-api").client_settings())
    with pytest.raises(KafkaException, match="TOPIC_AUTHORIZATION_FAILED"):
        admin.delete_topics([USER_EVENTS])[USER_EVENTS].result(20)


def test_a_second_run_changes_nothing_and_whatever_the_table_lacks_is_removed(secured: SecuredBroker) -> None:
    control = AccessControl(secured.connection())
    assert not control.apply()
    admin = AdminClient(secured.connection().client_settings())
    topic, whole, allow = ResourceType.TOPIC, ResourcePatternType.LITERAL, AclPermissionType.ALLOW
    everyone = AclBinding(topic, "*", whole, "User:*", "*", AclOperation.ALL, allow)
    stranger = AclBinding(topic, USER_EVENTS, whole, "User:eve", "*", AclOperation.READ, allow)
    elsewhere = AclBinding(topic, "other", whole, "User:eve", "*", AclOperation.READ, allow)
    prefix = AclBinding(topic, "okr_", ResourcePatternType.PREFIXED, "User:eve", "*", AclOperation.ALL, allow)
    group = AclBinding(ResourceType.GROUP, "okr-landing-x", whole, "User:eve", "*", AclOperation.READ, allow)
    for created in admin.create_acls([everyone, stranger, elsewhere, prefix, group]).values():
        created.result(20)
    found = control.apply(RIGHTS[1:])
    assert set(found.surplus) == {
        RIGHTS[0],
        Right("eve", Kind.TOPIC, USER_EVENTS, Operation.READ),
        Right("eve", Kind.GROUP, "okr-landing-x", Operation.READ),
    }
    assert {each.name for each in found.foreign} == {"*", "okr_"}
    assert control.apply().missing == [RIGHTS[0]]
    assert not control.differences()
    mine = AclBindingFilter(topic, "other", whole, None, None, AclOperation.ANY, AclPermissionType.ANY)
    assert admin.describe_acls(mine).result(20) == [elsewhere]


def test_the_commands_set_passwords_and_rights(secured: SecuredBroker, tmp_path: Path) -> None:
    password = secrets.token_hex(24)
    changed = okr(secured, tmp_path, "kafka", "set-password", "okr-guest", stdin=password)
    assert (changed.returncode, changed.stderr) == (0, "")
    secured.passwords["okr-guest"] = password
    with pytest.raises(PermanentError, match=r"Expected a user in super\.users of the brokers"):
        AccessControl(secured.connection("okr-guest")).differences()
    short = okr(secured, tmp_path, "kafka", "set-password", "okr-guest", stdin="short")
    assert "expected at least 16" in short.stderr
    same = okr(secured, tmp_path, "kafka", "access")
    assert same.stdout.startswith(f"Kafka's lists have exactly the {len(RIGHTS)} rights")
    report(
        "Rights in Kafka",
        ["", "number"],
        [["users", str(len(USERS))], ["rights", str(len(RIGHTS))], ["topics", str(len(TOPICS))]],
    )


def okr(broker: SecuredBroker, state: Path, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": os.environ["PATH"], "OKR_STATE": str(state), "OKR_KAFKA_BOOTSTRAP": broker.connection().bootstrap,
        "OKR_KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "OKR_KAFKA_USER": ADMIN, "OKR_CA_FILE": str(broker.ca_file),
        "OKR_KAFKA_PASSWORD": broker.passwords[ADMIN],
    }  # fmt: skip
    command = [Path(sys.executable).with_name("okr"), *words]
    return subprocess.run(
        command, env=environment, input=stdin, capture_output=True, text=True, timeout=60, check=False
    )
