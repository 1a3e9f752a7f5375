"""Build the services behind /admin."""

from dataclasses import dataclass

from lakehouse.settings import Settings
from serving.admin.audit_log.service import AuditEvents
from serving.admin.changes import Changes
from serving.admin.experiments.service import OperatedExperiments
from serving.admin.gate_results.service import GateResults
from serving.admin.publications.service import Publications
from serving.admin.quarantine.service import Quarantine
from serving.admin.rejected_messages.service import RejectedMessages
from serving.admin.spools.service import Spools
from serving.auth.audit_log import AuditLog
from serving.experiments.service import Experiments
from serving.limits.rate_plan_changes import RatePlanChanges
from serving.prediction_log import PredictionLog
from serving.predictor.forecast_cache import ForecastCache
from serving.publication_reader import Warehouse


@dataclass(frozen=True)
class Admin:
    """The services behind /admin. None of them depends on HTTP."""

    changes: Changes
    publications: Publications
    gate_results: GateResults
    quarantine: Quarantine
    rejected_messages: RejectedMessages
    spools: Spools
    forecast_cache: ForecastCache
    experiments: OperatedExperiments
    rate_plans: RatePlanChanges
    audit_events: AuditEvents


def build_admin(  # noqa: PLR0913 -- the services that operators use
    settings: Settings,
    warehouse: Warehouse,
    *,
    prediction_log: PredictionLog,
    forecast_cache: ForecastCache,
    experiments: Experiments,
    audit: AuditLog,
) -> Admin:
    """Build the services, without connecting to anything yet."""
    changes = Changes(audit)
    return Admin(
        changes=changes,
        publications=Publications(settings, warehouse, changes),
        gate_results=GateResults(warehouse),
        quarantine=Quarantine(settings, changes),
        rejected_messages=RejectedMessages(settings),
        spools=Spools(settings, prediction_log, changes),
        forecast_cache=forecast_cache,
        experiments=OperatedExperiments(experiments, changes),
        rate_plans=RatePlanChanges(warehouse),
        audit_events=AuditEvents(warehouse),
    )
