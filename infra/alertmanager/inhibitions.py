"""Which alert makes another one superfluous. tests/infra/alertmanager compares the names with the alert rules."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Inhibition:
    """While an alert that matches `source` fires, those that match `target` and have equal labels are silent."""

    reason: str
    source: tuple[str, ...]
    target: tuple[str, ...]
    equal: tuple[str, ...] = ()


def _is(name: str) -> str:
    return f'alertname = "{name}"'


def _any(*names: str) -> str:
    return f'alertname =~ "{"|".join(names)}"'


INHIBITIONS = (
    Inhibition(
        "A dead API answers slowly or not at all.",
        (_is("TargetDown"), 'job = "api"'),
        (_any("ApiLatencyHigh", "ApiLatencyBudgetBurnFast", "ApiLatencyBudgetBurnSlow"),),
        ("job",),
    ),
    Inhibition(
        "An API that does not answer from outside has no latency.",
        (_is("EndpointProbeFailed"),),
        (_any("ApiLatencyHigh", "ApiLatencyBudgetBurnFast", "ApiLatencyBudgetBurnSlow"),),
    ),
    Inhibition(
        "A dead host takes its services with it. Only their absence is silent, not what they still report.",
        (_is("TargetDown"), 'job = "node"'),
        (_is("TargetDown"), 'job != "node"'),
        ("instance",),
    ),
    Inhibition(
        "Without Kafka, nothing can land.",
        (_is("ServiceDown"), 'component = "kafka"'),
        (_any("ConsumerLag", "LandingStalled", "KafkaUnderReplicated", "SpoolOld"),),
    ),
    Inhibition(
        "Partitions lack the replicas of a broker that is down.",
        (_is("ServiceDown"), 'component =~ "kafka-broker-.*"'),
        (_is("KafkaUnderReplicated"),),
    ),
    Inhibition(
        "Without PostgreSQL, its measurements fail.",
        (_is("ServiceDown"), 'component = "postgresql"'),
        (_is("MeasurementFailing"),),
    ),
    # Critical silences the warning about the same thing.
    Inhibition("Full is worse than full soon.", (_is("HostDiskFull"),), (_is("HostDiskFullSoon"),),
               ("instance", "mountpoint")),
    Inhibition("Fast is worse than slow.", (_any("ApiErrorRate", "ApiErrorBudgetBurnFast"),),
               (_is("ApiErrorBudgetBurnSlow"),), ("job",)),
    Inhibition("Fast is worse than slow.", (_is("ApiLatencyBudgetBurnFast"),),
               (_any("ApiLatencyHigh", "ApiLatencyBudgetBurnSlow"),), ("job",)),
    Inhibition("Expired is worse than expiring.", (_is("CertificateExpired"),), (_is("CertificateExpiring"),),
               ("instance", "file")),
    Inhibition("Stale is worse than unverified.", (_is("BackupStale"),), (_is("BackupUnverified"),), ("part",)),
    Inhibition("Offline is worse than under-replicated.", (_is("KafkaOfflinePartitions"),),
               (_is("KafkaUnderReplicated"),)),
    Inhibition("A refused gate is the reason why nothing is published.", (_is("GateRefused"),),
               (_any("PublicationStale", "SourceSilent"),)),
    Inhibition("An old publication has old data.", (_is("PublicationStale"),), (_is("SourceSilent"),)),
    Inhibition("Full is worse than old.", (_is("SpoolFilling"),), (_is("SpoolOld"),), ("instance", "spool")),
)  # fmt: skip
