"""An organisation of one team with one key result, as apps write it."""

from typing import Any
from uuid import uuid4

from httpx import Response

from tests.serving.live_server import Api


def word(noun: str = "test") -> str:
    return f"{noun}-{uuid4()}"


def new_organisation(suffix: str) -> list[dict[str, Any]]:
    """Return the events of a new organisation, each of which names an earlier one."""
    events = {
        "okr.team.defined.v1": {"team_id": f"team-{suffix}", "organisation_id": f"org-{suffix}", "name": "Sales"},
        "okr.user.defined.v1": {
            "user_id": f"user-{suffix}", "name": "=Ada", "email": f"{suffix}@example.com", "team_id": f"team-{suffix}",
        },
        "okr.cycle.defined.v1": {
            "cycle_id": f"cycle-{suffix}", "organisation_id": f"org-{suffix}", "name": "Q4", "starts_on": "2026-10-01",
            "ends_on": "2026-12-31",
        },
        "okr.objective.defined.v1": {
            "objective_id": f"obj-{suffix}", "team_id": f"team-{suffix}", "cycle_id": f"cycle-{suffix}",
            "title": "Customers stay", "owner_user_id": f"user-{suffix}",
        },
        "okr.key_result.defined.v1": {
            "key_result_id": f"kr-{suffix}", "objective_id": f"obj-{suffix}", "title": "=HYPERLINK(1)",
            "unit": "points", "baseline": 20.0, "target": 40.0, "direction": "increase",
        },
        "okr.check_in.recorded.v1": {"check_in_id": f"ci-{suffix}", "key_result_id": f"kr-{suffix}", "value": 31.0},
        "okr.comment.posted.v1": {
            "comment_id": f"co-{suffix}", "key_result_id": f"kr-{suffix}", "user_id": f"user-{suffix}", "text": "Hm.",
        },
    }  # fmt: skip
    return [{"type": event_type, "data": data} for event_type, data in events.items()]


def write(api: Api, headers: dict[str, str], events: list[dict[str, Any]], **parameters: Any) -> Response:
    return api.client.post("/v1/events", json={"events": events}, headers=headers, params=parameters)


def accepted(answer: Response) -> dict[str, Any]:
    assert answer.status_code == 202, answer.text
    body: dict[str, Any] = answer.json()
    return body
