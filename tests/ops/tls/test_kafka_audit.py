"""`okr installation audit` finds rights in Kafka beyond the table, and none when there are none."""

from pathlib import Path

from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)
from pydantic import SecretStr

from infra.audit import kafka_access
from infra.audit.installation import Installation
from infra.kafka.access import AccessControl
from infra.kafka.rights import USER_EVENTS
from lakehouse.kafka_connection import SecurityProtocol
from lakehouse.settings import Settings
from tests.ops.tls.kafka_broker import ADMIN, SecuredBroker


def test_rights_beyond_the_table_are_found(broker: SecuredBroker, tmp_path: Path) -> None:
    settings = Settings(
        state=tmp_path, kafka_bootstrap=broker.connection().bootstrap, ca_file=str(broker.ca_file),
        kafka_security_protocol=SecurityProtocol.SASL_SSL, kafka_user=ADMIN,
        kafka_password=SecretStr(broker.passwords[ADMIN]),
    )  # fmt: skip
    control = AccessControl(broker.connection())
    control.apply()
    assert list(kafka_access.check(Installation(settings))) == []
    whole, allow = ResourcePatternType.LITERAL, AclPermissionType.ALLOW
    planted = [
        AclBinding(ResourceType.TOPIC, USER_EVENTS, whole, "User:eve", "*", AclOperation.READ, allow),
        AclBinding(ResourceType.TOPIC, "*", whole, "User:*", "*", AclOperation.ALL, allow),
    ]
    admin = AdminClient(broker.connection().client_settings())  # this reference keeps the client alive
    for created in admin.create_acls(planted).values():
        created.result(20)
    try:
        lines = [str(finding) for finding in kafka_access.check(Installation(settings))]
    finally:
        control.apply()
    assert "Kafka user eve: expected only the rights in the table, found READ of topic okr_user_events." in lines[0]
    assert "Kafka principal User:*: expected" in lines[1]
    assert "found ALLOW ALL of TOPIC *." in lines[1]
    assert list(kafka_access.check(Installation(settings))) == []
