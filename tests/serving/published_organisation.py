"""A small organisation with strange names, loaded and published as by the pipeline, and models trained on it."""

import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

from ingestion.batch import Span
from ingestion.contract_validation import DecodedEvent, EncodedEvent, decode, encode
from ingestion.loading.direct import copy_into_raw
from ingestion.sources.simulator import messages, organisation, scale_of
from ingestion.state.store import StateStore
from lakehouse.contracts import TOPICS
from lakehouse.contracts.alert import AlertChanged
from lakehouse.contracts.check_in import CheckInRecorded
from lakehouse.contracts.cycle import CycleDefined
from lakehouse.contracts.key_result import KeyResultDefined
from lakehouse.errors import ContractViolation
from lakehouse.publishing import marts_build, publication
from lakehouse.settings import Settings
from lakehouse.warehouse import connect
from ml import model_registry
from ml.champion import set_champion
from ml.feature_mart import read_history
from ml.fit_model import fit
from ml.hyperparameters import Hyperparameters
from ml.reference_distribution import reference_of
from ml.train_test_split import closed_periods, everything_closed, split_at
from tests.dbt_process import run_dbt
from tests.publications import passed

AS_OF = datetime(2026, 11, 20, 12, tzinfo=UTC)
STRANGE = {
    "markup": "<script>alert('title')</script> & <b>bold</b> \"quoted\"",
    "emoji/and?#%2F slash": "🚀🎯 Ünïcödé 👩‍👩‍👧‍👦",
    "rtl": "\u202eاجعل كل عميل يشعر بالترحيب",
    "long": "W" * 300,
    "{{ 7 * 7 }}": "{{ 7 * 7 }} {% raw %} ${7*7}",
}


def simulated(as_of: datetime = AS_OF) -> list[EncodedEvent]:
    """Return the events of a small organisation until a moment."""
    return [message.event for message in messages(organisation(7, scale_of("small")), as_of)]


def strange(events: list[EncodedEvent]) -> list[EncodedEvent]:
    """Return key results with strange ids and titles, beside a running one of a simulated organisation."""
    defined = [decode(event.topic, event.value, event.key) for event in good(events)]
    model = [one.payload for one in defined if isinstance(one.payload, KeyResultDefined)][-1]
    made = []
    for key_result_id, title in STRANGE.items():
        data = KeyResultDefined(
            key_result_id=key_result_id, objective_id=model.objective_id, title=title, unit="<i>%</i>", baseline=0.0,
            target=10.0, direction="increase",
        )  # fmt: skip
        made.append(encode(data, at=AS_OF - timedelta(days=40), source="test", recorded_at=AS_OF - timedelta(days=40)))
        for days, value in ((30, 0.4), (20, 0.5), (10, 0.6)):
            at = AS_OF - timedelta(days=days)
            check_in = CheckInRecorded(
                check_in_id=f"{key_result_id}-{days}", key_result_id=key_result_id, value=value, note=title
            )
            made.append(encode(check_in, at=at, source="test", recorded_at=at))
    return made


def alerts() -> list[EncodedEvent]:
    """Return the events of an alert that fires and of one that was resolved."""
    made = []
    for fingerprint, ended in (("a1", None), ("b2", AS_OF - timedelta(minutes=20))):
        for ends_at in (None, ended) if ended else (None,):
            data = AlertChanged(
                fingerprint=fingerprint, alert="ApiDown", status="resolved" if ends_at else "firing", service="api",
                starts_at=AS_OF - timedelta(minutes=30), ends_at=ends_at, severity="critical",
                summary="The API has not responded for 1 min.", runbook="docs/runbooks/api-down.md",
            )  # fmt: skip
            made.append(encode(data, at=AS_OF - timedelta(minutes=20), source="test"))
    return made


def good(events: list[EncodedEvent]) -> Iterator[EncodedEvent]:
    """Return the events that landing would not reject."""
    for event in events:
        try:
            decode(event.topic, event.value, event.key, AS_OF)
        except ContractViolation:
            continue
        yield event


def publish(settings: Settings, events: list[EncodedEvent], target: Path) -> None:
    """Load events into raw, build all models with dbt and publish them."""
    rows: dict[str, list[tuple[object, ...]]] = {topic: [] for topic in TOPICS}
    offsets: dict[tuple[str, int], int] = {}
    for event in good(events):
        decoded = decode(event.topic, event.value, event.key, AS_OF)
        frame, partition = decoded.envelope, zlib.crc32(event.key) % 4
        offset = offsets[event.topic, partition] = offsets.get((event.topic, partition), -1) + 1
        rows[event.topic].append(
            (
                partition, offset, AS_OF, frame.id, frame.type, frame.source, frame.subject, frame.time,
                min(frame.recordedtime or AS_OF, AS_OF), bool(frame.recordedassumed), decoded.data,
            )
        )  # fmt: skip
    with connect(settings.require("dsn_loader")) as connection:
        connection.execute(f"TRUNCATE {', '.join(f'raw.{topic}' for topic in TOPICS)}".encode())
    for topic in TOPICS:
        copy_into_raw(settings, topic, rows[topic])
    build_and_publish(settings, target)


def keep_state(settings: Settings, events: list[EncodedEvent]) -> None:
    """Write the events to the state tables, as the state consumer does."""
    rows = []
    for offset, event in enumerate(good(events)):
        decoded = _decoded(event)
        frame = decoded.envelope
        what = {"event_type": frame.type, "subject": frame.subject, "event_id": str(frame.id), "data": decoded.data}
        place = {"kafka_partition": 0, "kafka_offset": offset}
        rows.append({**what, **place, "occurred_at": frame.time, "logged_at": AS_OF})
    with connect(settings.require("dsn_loader"), autocommit=True) as loader:
        StateStore(loader, "cluster", "group").apply("okr_user_events", rows, {0: Span(None, len(rows))})


RUN = "test"
DATA_AS_OF = (
    "CREATE TABLE IF NOT EXISTS intermediate.int_data_as_of AS "
    "SELECT max(recorded_at) AS data_as_of FROM raw.okr_user_events"
)


def build_and_publish(settings: Settings, target: Path) -> None:
    """Build all models with dbt from raw, and publish them."""
    marts_build.prepare_build(settings.require("dsn_transform"), RUN)
    run_dbt(settings, target, "run")
    republish(settings)


def republish(settings: Settings) -> publication.Publication:
    """Publish the built marts."""
    return publication.publish(settings.require("dsn_transform"), gate=passed(RUN), model_version=None)


def register_two_models(settings: Settings) -> None:
    """Register two small models that differ, the first as champion, each beside its twin without the last cycle."""
    with connect(settings.require("dsn_serving")) as connection:
        history = read_history(connection)
    learned = history.take(everything_closed(history))
    earlier = history.take(split_at(history, closed_periods(history)[-1]).train)
    for rounds in (5, 8):
        model, evaluated = fit(learned, Hyperparameters(rounds=rounds)), fit(earlier, Hyperparameters(rounds=rounds))
        model_registry.register(
            settings, {"model": model, "evaluated": evaluated}, parameters={"rounds": rounds}, metrics={"brier": 0.1},
            tags={"trained_until": model.trained_until}, reference=reference_of(learned, model.probabilities(learned)),
        )  # fmt: skip
    set_champion(settings, "1")


def ended(events: list[EncodedEvent]) -> list[EncodedEvent]:
    """Return a history that ends with its last closed cycle: without the key results of the running one."""
    last = max(
        decoded.payload.ends_on
        for decoded in map(_decoded, good(events))
        if isinstance(decoded.payload, CycleDefined) and decoded.payload.ends_on < AS_OF.date()
    )
    end = datetime.combine(last, time(), tzinfo=UTC) + timedelta(days=20)
    before = [event for event in good(events) if _decoded(event).envelope.time < end]
    closed = {
        decoded.payload.key_result_id
        for decoded in map(_decoded, before)
        if isinstance(decoded.payload, CheckInRecorded) and decoded.payload.is_final
    }
    return [event for event in before if _key_result_of(event) in {None, *closed}]


def _decoded(event: EncodedEvent) -> DecodedEvent:
    return decode(event.topic, event.value, event.key, AS_OF)


def _key_result_of(event: EncodedEvent) -> str | None:
    payload = _decoded(event).payload
    return payload.key_result_id if isinstance(payload, (CheckInRecorded, KeyResultDefined)) else None
