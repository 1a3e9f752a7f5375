"""Contracts of events about application metrics."""

from typing import Annotated

import msgspec

from lakehouse.contracts.fields import Id, Labels, Unit, Value
from lakehouse.contracts.registry import event


@event("okr.app_metric.sampled.v1", topic="okr_system_metrics", key="app")
class AppMetricSampled(msgspec.Struct, kw_only=True, frozen=True):
    """One sample of one metric of one application, e.g. request_latency_p95 in ms, consumer_lag in events.

    `labels` identify what was measured: a route template, a topic, a consumer group. They must never contain the id,
    name or address of a person. `window_seconds` is the length of the period before the event's `time` that the sample
    summarises; null for an instantaneous value.
    """

    app: Id
    instance: Id
    metric: Id
    value: Value
    unit: Unit
    labels: Labels = {}
    window_seconds: Annotated[float, msgspec.Meta(gt=0.0, le=86_400.0)] | None = None
