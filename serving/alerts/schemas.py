"""The body that Alertmanager sends to a webhook (version 4), and the response.

Unknown fields are ignored, unlike in other bodies of this API, because later releases of Alertmanager add some.
"""

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, Field


class WebhookAlert(BaseModel):
    """An alert in a notification of Alertmanager."""

    status: Literal["firing", "resolved"]
    fingerprint: Annotated[str, Field(pattern=r"^[0-9a-f]{1,64}$", description="Identifies the labels.")]
    labels: dict[str, str]
    annotations: dict[str, str] = {}
    startsAt: AwareDatetime  # noqa: N815 -- Alertmanager's name
    endsAt: AwareDatetime | None = Field(  # noqa: N815 -- Alertmanager's name
        default=None, description="Ignored while the alert fires: Alertmanager then sends the year 1."
    )


class Webhook(BaseModel):
    """A notification of Alertmanager. Unknown fields are ignored."""

    version: Literal["4"] = Field(description="The version of Alertmanager's format.")
    alerts: list[WebhookAlert]
    truncatedAlerts: Annotated[int, Field(ge=0)] = Field(  # noqa: N815 -- Alertmanager's name
        default=0, description="Alerts that Alertmanager left out, because its setting `max_alerts` is too small."
    )


class AlertsRecorded(BaseModel):
    """How many alerts of the notification were recorded: all of them."""

    recorded: int
