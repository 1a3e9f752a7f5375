"""POST /v1/alerts, to which Alertmanager sends its notifications.

The API's description leaves it out, because Alertmanager determines the format (docs/alerting.md).
"""

from fastapi import APIRouter, Depends

from serving.alerts.schemas import AlertsRecorded, Webhook
from serving.auth.authorization import RequireToken
from serving.auth.roles import Right
from serving.http.strict_requests import StrictRoute
from serving.services import ServicesDep

router = APIRouter(prefix="/v1", include_in_schema=False, route_class=StrictRoute)


@router.post("/alerts", status_code=202, dependencies=[Depends(RequireToken(Right.REPORT_ALERTS))])
def record(webhook: Webhook, services: ServicesDep) -> AlertsRecorded:
    """Record the alerts of a notification of Alertmanager as events on `okr_data_pipeline`, one per transition.

    Sending a notification again records nothing new. Unknown fields are ignored.
    """
    return AlertsRecorded(recorded=services.alert_recorder.record(webhook))
