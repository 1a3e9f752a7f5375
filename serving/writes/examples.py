"""Examples of the events that apps write, for OpenAPI. A test validates each against its contract."""

from typing import Any

EXAMPLES: dict[str, dict[str, Any]] = {
    "okr.user.defined.v1": {"user_id": "u-17", "name": "Ada Example", "email": "ada@example.com", "team_id": "sales"},
    "okr.team.defined.v1": {"team_id": "sales", "organisation_id": "example", "name": "Sales"},
    "okr.cycle.defined.v1": {
        "cycle_id": "2027-q1", "organisation_id": "example", "name": "2027 Q1", "starts_on": "2027-01-01",
        "ends_on": "2027-03-31",
    },
    "okr.objective.defined.v1": {
        "objective_id": "obj-loyalty", "team_id": "sales", "cycle_id": "2027-q1", "title": "Customers stay",
        "owner_user_id": "u-17",
    },
    "okr.key_result.defined.v1": {
        "key_result_id": "kr-nps", "objective_id": "obj-loyalty", "title": "Net promoter score above 40",
        "unit": "points", "baseline": 20.0, "target": 40.0, "direction": "increase",
    },
    "okr.check_in.recorded.v1": {"check_in_id": "ci-204", "key_result_id": "kr-nps", "value": 31.0, "confidence": 0.7},
    "okr.comment.posted.v1": {
        "comment_id": "co-9", "key_result_id": "kr-nps", "user_id": "u-17", "text": "The survey of January is in.",
    },
    "okr.user.deactivated.v1": {"user_id": "u-17"},
    "okr.team.archived.v1": {"team_id": "sales", "successor_team_id": "growth"},
    "okr.cycle.closed.v1": {"cycle_id": "2027-q1", "user_id": "u-17"},
    "okr.objective.archived.v1": {"objective_id": "obj-loyalty", "reason": "Merged into another objective."},
    "okr.key_result.archived.v1": {"key_result_id": "kr-nps", "reason": "Entered by mistake."},
}  # fmt: skip
STATUS: dict[str, Any] = {
    "event_id": "0199c2c4-6f0e-7c1a-8d5e-3b7a52f0c9aa", "event_type": "okr.team.defined.v1", "entity_id": "sales",
    "status": "published", "reason": None, "operation": "POST /v1/teams", "occurred_at": "2026-11-20T12:00:00Z",
    "accepted_at": "2026-11-20T12:00:00Z", "is_acknowledged": True, "publication_id": 42,
}  # fmt: skip
WRITTEN: dict[str, Any] = {
    "event_id": STATUS["event_id"], "event_type": "okr.team.defined.v1", "entity_id": "sales",
    "occurred_at": "2026-11-20T12:00:00Z", "status_url": f"/v1/events/{STATUS['event_id']}",
    "etag": f'"{STATUS["event_id"]}"',
}  # fmt: skip
ACCEPTED: dict[str, Any] = {**WRITTEN, "is_acknowledged": True}
BULK: dict[str, Any] = {
    "events": [
        {"type": event_type, "data": EXAMPLES[event_type]}
        for event_type in ("okr.objective.defined.v1", "okr.key_result.defined.v1", "okr.check_in.recorded.v1")
    ]
}
BULK_ACCEPTED: dict[str, Any] = {"events": [WRITTEN], "is_acknowledged": True}


def definition(event_type: str) -> dict[str, Any]:
    """Return an example of the newest definition of an entity."""
    data = EXAMPLES[event_type]
    return {
        "event_type": event_type, "entity_id": next(iter(data.values())), "event_id": STATUS["event_id"],
        "defined_at": "2026-11-20T12:00:00Z", "data": data,
    }  # fmt: skip
