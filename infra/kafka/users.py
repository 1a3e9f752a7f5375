"""The users of Kafka. The broker stores only salted hashes of their passwords (SCRAM-SHA-512)."""

from typing import TYPE_CHECKING

from lakehouse.errors import PermanentError, RetryableError
from lakehouse.kafka_connection import KafkaConnection

if TYPE_CHECKING:
    pass

ITERATIONS = 8192
MIN_LENGTH = 16
LIMIT_SECONDS = 20.0


class KafkaUsers:
    """Creates users and sets their passwords. The connection's user must be a superuser of the cluster."""

    def __init__(self, kafka: KafkaConnection) -> None:
        from confluent_kafka.admin import AdminClient

        self._kafka = kafka
        self._admin: AdminClient = AdminClient(kafka.client_settings())

    def set_password(self, user: str, password: str) -> None:
        """Create a user, or replace its password. Open connections must log in again within an hour.

        Raises:
            PermanentError: the password is too short.
            RetryableError: Kafka does not respond, or the connection's user is no superuser.
        """
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion

        if len(password) < MIN_LENGTH:
            raise PermanentError(
                f"The password has {len(password)} characters, expected at least {MIN_LENGTH}. `openssl rand -hex 24` "
                "makes one."
            )
        hashed_with = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, ITERATIONS)
        change = UserScramCredentialUpsertion(user, hashed_with, password.encode())
        try:
            changes = self._admin.alter_user_scram_credentials([change], request_timeout=LIMIT_SECONDS)
            changes[user].result(2 * LIMIT_SECONDS)
        except KafkaException as error:
            self._kafka.require_usable()
            raise RetryableError(
                f"Kafka at {self._kafka.bootstrap} did not set the password of {user!r}: {error.args[0].str()}"
            ) from error
