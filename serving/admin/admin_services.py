"""Build the services behind /admin."""

from dataclasses import dataclass

from lakehouse.settings import Settings
from serving.admin.audit_log.service import AuditEvents
from serving.admin.changes import Changes
from serving.admin.dag_runs.service import DagRunOperations
from serving.admin.experiments.service import ExperimentOperations
from serving.admin.forecast_cache.service import ForecastCacheOperations
from serving.admin.gate_results.service import GateResults
from serving.admin.models.service import ModelOperations
from serving.admin.publications.service import Publications
from serving.admin.quarantine.service import Quarantine
from serving.admin.rate_plans.service import RatePlanOperations
from serving.admin.rejected_messages.service import RejectedMessages
from serving.admin.spools.service import Spools
from serving.auth.audit_log import AuditLog
from serving.dag_runs.airflow import Airflow
from serving.dag_runs.service import DagRuns
from serving.limits.rate_plan_changes import RatePlanChanges
from serving.prediction_log import PredictionLog
from serving.predictor.prediction_services import PredictionServices
from serving.publication_reader import Warehouse


@dataclass(frozen=True)
class Admin:
    """The services behind /admin. None of them uses FastAPI."""

    changes: Changes
    publications: Publications
    gate_results: GateResults
    quarantine: Quarantine
    rejected_messages: RejectedMessages
    spools: Spools
    forecast_cache: ForecastCacheOperations
    experiments: ExperimentOperations
    models: ModelOperations
    dag_runs: DagRuns
    dag_run_operations: DagRunOperations
    rate_plans: RatePlanOperations
    audit_events: AuditEvents


def build_admin(
    settings: Settings,
    warehouse: Warehouse,
    *,
    prediction_log: PredictionLog,
    prediction: PredictionServices,
    audit: AuditLog,
) -> Admin:
    """Build the services, without connecting to anything yet."""
    changes = Changes(audit)
    dag_runs = DagRuns(settings, Airflow(settings))
    return Admin(
        changes=changes,
        publications=Publications(settings, warehouse, changes),
        gate_results=GateResults(warehouse),
        quarantine=Quarantine(settings, changes),
        rejected_messages=RejectedMessages(settings),
        spools=Spools(settings, prediction_log, changes),
        forecast_cache=ForecastCacheOperations(prediction.cache, changes),
        experiments=ExperimentOperations(prediction.experiments, changes),
        models=ModelOperations(
            settings, warehouse, prediction.runtime.catalog, prediction.loading, dag_runs=dag_runs, changes=changes
        ),
        dag_runs=dag_runs,
        dag_run_operations=DagRunOperations(dag_runs, changes),
        rate_plans=RatePlanOperations(RatePlanChanges(warehouse), changes),
        audit_events=AuditEvents(warehouse),
    )
