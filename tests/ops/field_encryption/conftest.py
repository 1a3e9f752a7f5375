"""An empty pipeline that encrypts personal fields, and events of two persons with texts that are planted."""

import base64
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from ingestion.contract_validation import EncodedEvent, encode
from ingestion.producer import EventProducer
from lakehouse.contracts.check_in import CheckInRecorded
from lakehouse.contracts.comment import CommentPosted
from lakehouse.contracts.key_result import KeyResultArchived
from lakehouse.contracts.organisation import OrganisationDefined
from lakehouse.contracts.team import TeamDefined
from lakehouse.contracts.user import UserDefined
from lakehouse.settings import Settings

TOPIC = "okr_user_events"
NOON = datetime.now(UTC).replace(microsecond=0) - timedelta(days=3)


def new_key() -> str:
    """Return a line of a key file."""
    return base64.b64encode(os.urandom(32)).decode()


def with_keys(settings: Settings, *keys: str) -> Settings:
    """Return settings with a key file; the first key is current."""
    return settings.model_copy(update={"field_encryption_key": SecretStr("\n".join(keys))})


@pytest.fixture
def encrypted(pipeline: Settings) -> Settings:
    """The settings of an empty pipeline with a key file."""
    return with_keys(pipeline, new_key())


def user(user_id: str, name: str, email: str, *, seconds: int = 0) -> EncodedEvent:
    """Return the definition of a user."""
    data = UserDefined(user_id=user_id, name=name, email=email, team_id="team")
    return encode(data, at=NOON + timedelta(seconds=seconds), source="test")


def check_in(number: int, note: str | None, *, user_id: str | None = None) -> EncodedEvent:
    """Return a check-in."""
    data = CheckInRecorded(
        check_in_id=f"c{number}", key_result_id=f"k{number % 20}", value=number, note=note, user_id=user_id
    )
    return encode(data, at=NOON + timedelta(seconds=number), source="test")


def organisation() -> list[EncodedEvent]:
    """Return the definitions of an organisation and its team."""
    parts = (
        OrganisationDefined(organisation_id="org", name="Org"),
        TeamDefined(team_id="team", organisation_id="org", name="T"),
    )
    return [encode(each, at=NOON - timedelta(days=1), source="test") for each in parts]


def planted(mark: str) -> list[EncodedEvent]:
    """Return events whose personal fields all contain `mark`."""
    comment = CommentPosted(comment_id="m1", key_result_id="k1", user_id="ada", text=f"{mark} comment")
    archived = KeyResultArchived(key_result_id="k19", reason=f"{mark} reason", user_id="ada")
    others = [encode(each, at=NOON + timedelta(hours=1), source="test") for each in (comment, archived)]
    return [
        *organisation(),
        user("ada", f"{mark} Lovelace", f"{mark}@example.org"),
        check_in(1, f"{mark} note", user_id="ada"),
        check_in(2, f"{mark} note without an author"),
        check_in(3, None, user_id="ada"),
        *others,
    ]


Send = Callable[..., None]


@pytest.fixture
def send(producer: EventProducer) -> Send:
    """Return a function that sends events and waits for the broker."""

    def send_all(*events: EncodedEvent, raw: bytes | None = None) -> None:
        for event in events:
            producer.send(event)
        if raw is not None:
            producer.send_raw(TOPIC, b"key", raw)
        producer.flush()

    return send_all
