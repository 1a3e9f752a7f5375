"""Contracts of events about host metrics."""

import msgspec

from lakehouse.contracts.fields import Id, Unit, Value
from lakehouse.contracts.registry import event


@event("okr.host_metric.sampled.v1", topic="okr_system_metrics", key="host")
class HostMetricSampled(msgspec.Struct, kw_only=True, frozen=True):
    """One sample of one metric of one host (or application), e.g. cpu_busy as a ratio, memory_used in bytes."""

    host: Id
    metric: Id
    value: Value
    unit: Unit
