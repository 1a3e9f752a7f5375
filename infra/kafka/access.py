"""Make Kafka's access control lists equal to the table of rights. Running it again changes nothing.

The table is complete for its users, topics and groups, whether an entry names them or a prefix of their names. Other
entries of other users are ignored, including those for the whole cluster, which may belong to other platforms.
"""

from collections.abc import Collection, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from infra.kafka.rights import RIGHTS, USERS, Kind, Operation, Right
from lakehouse.errors import PermanentError, RetryableError
from lakehouse.kafka_connection import KafkaConnection

if TYPE_CHECKING:
    from confluent_kafka.admin import AclBinding, AclBindingFilter

LIMIT_SECONDS = 20.0
PRINCIPAL = "User:"
EVERY = "*"  # host, or name of all topics or groups
NAMES = {EVERY, *(right.name for right in RIGHTS)}


@dataclass(frozen=True)
class Differences:
    """How Kafka's lists differ from the table. `foreign` are entries of a form that the table does not use."""

    missing: list[Right]
    surplus: list[Right]
    foreign: "list[AclBinding]"

    def __bool__(self) -> bool:
        return bool(self.missing or self.surplus or self.foreign)


class AccessControl:
    """The access control lists of a cluster. The user must be one of its superusers."""

    def __init__(self, kafka: KafkaConnection) -> None:
        from confluent_kafka.admin import AdminClient

        self._kafka = kafka
        self._admin: AdminClient = AdminClient(kafka.client_settings())

    def differences(self, rights: Collection[Right] = RIGHTS) -> Differences:
        """Compare Kafka's lists with the table.

        Raises:
            RetryableError: Kafka does not respond.
            PermanentError: the user is no superuser.
        """
        self._require_superuser()
        found = [(_right_of(binding), binding) for binding in self._all()]
        existing = {right for right, _ in found if right is not None}
        foreign = [binding for right, binding in found if right is None]
        return Differences(sorted(set(rights) - existing), sorted(existing - set(rights)), foreign)

    def apply(self, rights: Collection[Right] = RIGHTS) -> Differences:
        """Add missing entries, then remove all others. Return the differences that there were.

        Until the first entry is removed, every service can do its work, so an interrupted run can simply be repeated.

        Raises:
            RetryableError: Kafka does not respond, or its brokers have no authorizer.
            PermanentError: the user is no superuser.
        """
        before = self.differences(rights)
        if before.missing:
            self._wait(self._admin.create_acls([_binding_of(right) for right in before.missing]))
        surplus = [*map(_binding_of, before.surplus), *before.foreign]
        if surplus:
            self._wait(self._admin.delete_acls([_exactly(binding) for binding in surplus]))
        return before

    def _require_superuser(self) -> None:
        """Check the user's rights, because Kafka shows an empty list to a user that may not see the entries."""
        from confluent_kafka.admin import AclOperation

        cluster = self._result(
            self._admin.describe_cluster(include_authorized_operations=True, request_timeout=LIMIT_SECONDS)
        )
        if AclOperation.ALTER not in (cluster.authorized_operations or ()):
            raise PermanentError(
                f"User {self._kafka.user!r} may not see or change rights in Kafka. Expected a user in super.users of "
                "the brokers."
            )

    def _all(self) -> "list[AclBinding]":
        from confluent_kafka.admin import (
            AclBindingFilter,
            AclOperation,
            AclPermissionType,
            ResourcePatternType,
            ResourceType,
        )

        everything = AclBindingFilter(
            ResourceType.ANY, None, ResourcePatternType.ANY, None, None, AclOperation.ANY, AclPermissionType.ANY
        )
        found: list[AclBinding] = self._result(self._admin.describe_acls(everything, request_timeout=LIMIT_SECONDS))
        return [each for each in found if _concerns_the_platform(each)]

    def _wait(self, changes: Mapping[Any, "Future[Any]"]) -> None:
        for change in changes.values():
            self._result(change)

    def _result(self, future: "Future[Any]") -> Any:
        from confluent_kafka import KafkaException

        try:
            return future.result(2 * LIMIT_SECONDS)
        except KafkaException as error:
            self._kafka.require_usable()
            raise RetryableError(
                f"Kafka at {self._kafka.bootstrap} did not show or change rights: {error.args[0].str()}. Do the "
                "brokers have an authorizer (infra/kafka/server.properties)?"
            ) from error


def _concerns_the_platform(binding: "AclBinding") -> bool:
    """Return whether an entry is of one of our users, or applies to one of our topics or groups."""
    from confluent_kafka.admin import ResourcePatternType, ResourceType

    if binding.principal.removeprefix(PRINCIPAL) in USERS or binding.name in NAMES:
        return True
    if binding.restype not in (ResourceType.TOPIC, ResourceType.GROUP):
        return False
    if binding.resource_pattern_type == ResourcePatternType.PREFIXED:
        return any(name.startswith(binding.name) or binding.name.startswith(name) for name in NAMES)
    return any(binding.name.startswith(right.name) for right in RIGHTS if right.kind is Kind.GROUP_PREFIX)


def _binding_of(right: Right) -> "AclBinding":
    from confluent_kafka.admin import AclBinding, AclOperation, AclPermissionType, ResourcePatternType, ResourceType

    return AclBinding(
        ResourceType.TOPIC if right.kind is Kind.TOPIC else ResourceType.GROUP,
        right.name,
        ResourcePatternType.PREFIXED if right.kind is Kind.GROUP_PREFIX else ResourcePatternType.LITERAL,
        PRINCIPAL + right.user,
        EVERY,
        AclOperation[right.operation.value],
        AclPermissionType.ALLOW,
    )


def _right_of(binding: "AclBinding") -> Right | None:
    """Return the right that an entry of Kafka's list grants, or None if the table cannot express it."""
    from confluent_kafka.admin import ResourcePatternType, ResourceType

    kinds = {
        (ResourceType.TOPIC, ResourcePatternType.LITERAL): Kind.TOPIC,
        (ResourceType.GROUP, ResourcePatternType.LITERAL): Kind.GROUP,
        (ResourceType.GROUP, ResourcePatternType.PREFIXED): Kind.GROUP_PREFIX,
    }
    kind = kinds.get((binding.restype, binding.resource_pattern_type))
    if kind is None or binding.operation.name not in Operation.__members__:
        return None
    right = Right(binding.principal.removeprefix(PRINCIPAL), kind, binding.name, Operation[binding.operation.name])
    return right if _binding_of(right) == binding else None


def _exactly(binding: "AclBinding") -> "AclBindingFilter":
    from confluent_kafka.admin import AclBindingFilter

    return AclBindingFilter(
        binding.restype, binding.name, binding.resource_pattern_type, binding.principal, binding.host,
        binding.operation, binding.permission_type,
    )  # fmt: skip
