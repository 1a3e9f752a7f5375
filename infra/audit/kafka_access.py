"""Kafka's access control lists, compared with the table of rights (infra/kafka/rights.py)."""

from collections.abc import Iterator

from infra.audit.finding import Finding, NotChecked
from infra.audit.installation import Installation
from infra.kafka.access import AccessControl
from lakehouse.kafka_connection import KafkaConnection, SecurityProtocol

ACTION = "`okr kafka access --apply` makes the lists equal to the table."


def check(installation: Installation) -> Iterator[Finding]:
    """Yield a finding for each entry that the table does not have. A missing entry stops a service, so it shows itself.

    Raises:
        NotChecked: Kafka has no logins, as in a local stack; is not configured; or this host has no login to it.
    """
    settings = installation.settings
    if not settings.kafka_bootstrap:
        raise NotChecked("OKR_KAFKA_BOOTSTRAP is not set")
    if settings.kafka_security_protocol is SecurityProtocol.PLAINTEXT:
        raise NotChecked("Kafka has no logins (OKR_KAFKA_SECURITY_PROTOCOL=PLAINTEXT)")
    if not settings.kafka_password.get_secret_value():
        raise NotChecked("OKR_KAFKA_PASSWORD is not set; the hosts of zone data have the administrator's")
    found = AccessControl(KafkaConnection.of(settings)).differences()
    for right in found.surplus:
        yield Finding(
            f"Kafka user {right.user}", "only the rights in the table",
            f"{right.operation} of {right.kind} {right.name}", ACTION,
        )  # fmt: skip
    for entry in found.foreign:
        yield Finding(
            f"Kafka principal {entry.principal}", "only entries of the kinds in the table",
            f"{entry.permission_type.name} {entry.operation.name} of {entry.restype.name} {entry.name}", ACTION,
        )  # fmt: skip
