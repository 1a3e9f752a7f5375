"""Turn the alerts of a notification into events, one for each transition. This module does not use FastAPI.

Alertmanager sends the same transition again and again: after an error, after `repeat_interval`, and from each member of
a cluster (https://github.com/prometheus/alertmanager/issues/1755, .../issues/2447). The id of an event is therefore
derived from the alert and its transition, and staging counts each id once.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID, uuid5

from ingestion.contract_validation import EARLIEST, EncodedEvent, encode
from lakehouse.contracts.alert import AlertChanged
from lakehouse.logs import get_logger
from serving.alerts.schemas import Webhook, WebhookAlert
from serving.spool_sender import SpoolSender

SOURCE = "okr/alertmanager"
NAMESPACE = UUID("5d0c4be2-7a52-5b8c-9d0e-6f3f1a2b7c41")  # of the ids of these events; must never change
NAME, SHORT, LONG = 64, 256, 2_000  # the contract's limits in characters
MOST_LABELS = 32
UNNAMED = "unnamed"


class AlertRecorder:
    """Writes alerts as events to the spool of platform events, from which they are sent to okr_data_pipeline."""

    def __init__(self, sender: SpoolSender) -> None:
        self._sender = sender
        self._log = get_logger(__name__)

    def record(self, webhook: Webhook) -> int:
        """Store all alerts of a notification on this host's disk, or none, and return their number.

        Raises:
            NotPersisted: nothing was stored. Alertmanager repeats the notification.
        """
        if webhook.truncatedAlerts:
            self._log.error(
                "Alertmanager left out alerts, which are not recorded; remove max_alerts from its configuration",
                number=webhook.truncatedAlerts,
            )
        events = events_of(webhook.alerts, datetime.now(UTC))
        self._sender.post(events)
        return len(events)


def events_of(alerts: Sequence[WebhookAlert], now: datetime) -> list[EncodedEvent]:
    """Return an event for each alert. Texts that the contract does not allow are shortened or replaced.

    An alert must not be lost because of its texts, and Alertmanager never repeats a notification that gets a 422.
    """
    return [_event(alert, now) for alert in alerts]


def _event(alert: WebhookAlert, now: datetime) -> EncodedEvent:
    ends_at = _end(alert, now)
    labels, annotations = _labels(alert.labels), alert.annotations
    data = AlertChanged(
        fingerprint=alert.fingerprint,
        alert=_text(alert.labels.get("alertname"), SHORT) or UNNAMED,
        status=alert.status,
        starts_at=max(alert.startsAt, EARLIEST),
        ends_at=ends_at,
        severity=_text(alert.labels.get("severity"), SHORT),
        service=_text(alert.labels.get("service"), SHORT),
        summary=_text(annotations.get("summary"), LONG),
        runbook=_text(annotations.get("runbook"), LONG),
        labels=labels,
    )
    # A clock that is ahead must not make the event invalid: landing rejects events from the future.
    at = min(data.starts_at if ends_at is None else ends_at, now)
    return encode(data, at=at, source=SOURCE, event_id=event_id(alert))


def event_id(alert: WebhookAlert) -> UUID:
    """Return the id of the event about a transition of an alert, which is the same each time it is sent."""
    return uuid5(NAMESPACE, f"{alert.fingerprint} {alert.startsAt.astimezone(UTC).isoformat()} {alert.status}")


def _end(alert: WebhookAlert, now: datetime) -> datetime | None:
    """Return when a resolved alert ended.

    Alertmanager sends the year 1 for an unknown end (https://github.com/prometheus/alertmanager/issues/3341).
    """
    if alert.status == "firing":
        return None
    return now if alert.endsAt is None or alert.endsAt < EARLIEST else alert.endsAt


def _labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Return the labels that the contract allows, shortened. The fingerprint still identifies all of them."""
    allowed = [name for name in sorted(labels) if len(name) <= NAME and name.isascii() and name.isidentifier()]
    return {name: _text(labels[name], SHORT) or "" for name in allowed[:MOST_LABELS]}


def _text(text: str | None, longest: int) -> str | None:
    """Return a text on one line without characters that PostgreSQL or JSON cannot store, or None if it is empty."""
    if text is None:
        return None
    printable = "".join(each if each.isprintable() else " " for each in text[: 2 * longest])
    return " ".join(printable.split())[:longest] or None
