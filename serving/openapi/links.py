"""Links of the OpenAPI description: which values of a response lead to which other operation."""

from typing import Any

Link = dict[str, Any]


def _link(operation: str, description: str, *, body: Any = None, **parameters: str) -> Link:
    link: Link = {"operationId": operation, "description": description, "parameters": parameters}
    return link if body is None else link | {"requestBody": body}


STATUS = _link("writes-event_status", "The status of the event.", event_id="$response.body#/event_id")
_ENTITIES = {
    "user": ("user_id", "deactivation"),
    "team": ("team_id", "archival"),
    "cycle": ("cycle_id", "closing"),
    "objective": ("objective_id", "archival"),
    "key_result": ("key_result_id", "archival"),
}
_FIRST_KEY_RESULT = "$response.body#/key_results/0/key_result_id"
_KEY_RESULT = "$response.body#/key_result_id"
_EXPERIMENT = {"name": "$response.body#/name"}
_EXPERIMENTS = "admin_experiments-"
_MESSAGE = {part: f"$response.body#/rejected_messages/0/{part}" for part in ("topic", "partition", "offset")}

# By operation and status.
LINKS: dict[tuple[str, str], dict[str, Link]] = {
    ("auth-token", "200"): {
        "refresh": _link("auth-refresh", "The next tokens.", body={"refresh_token": "$response.body#/refresh_token"}),
    },
    ("auth-sessions", "200"): {
        "end": _link("auth-end_session", "End the newest login.", session_id="$response.body#/sessions/0/session_id"),
    },
    ("data-key_results", "200"): {
        "next_page": _link("data-key_results", "The next page.", cursor="$response.body#/next_cursor"),
        "key_result": _link("data-key_result", "The first key result.", key_result_id=_FIRST_KEY_RESULT),
        "definition": _link("writes-definition_of_key_result", "Its definition.", key_result_id=_FIRST_KEY_RESULT),
        "forecast": _link("predictor-predict", "Its forecast.", body={"key_result_ids": [_FIRST_KEY_RESULT]}),
    },
    ("data-users", "200"): {
        "activity": _link(
            "data-activity_of_user", "The first user's activity.", user_id="$response.body#/users/0/user_id"
        ),
    },
    ("check_ins-record_check_in", "202"): {
        "status": STATUS,
        "correct": _link("check_ins-correct_check_in", "Correct it.", check_in_id="$response.body#/check_in_id"),
        "key_result": _link("data-key_result", "Its key result.", key_result_id=_KEY_RESULT),
    },
    ("check_ins-correct_check_in", "202"): {"status": STATUS},
    ("writes-create_comment", "202"): {"status": STATUS},
    ("writes-write_events", "202"): {
        "status": _link("writes-event_status", "The first event.", event_id="$response.body#/events/0/event_id"),
    },
    ("admin_experiments-create", "201"): {
        action: _link(f"{_EXPERIMENTS}{action}", f"{action.capitalize()} it.", **_EXPERIMENT)
        for action in ("experiment", "start", "stop")
    },
    ("admin_gate_results-gate_results", "200"): {
        "gate_result": _link(
            "admin_gate_results-gate_result",
            "The newest result.",
            gate_result_id="$response.body#/gate_results/0/gate_result_id",
        ),
    },
    ("admin_accounts-accounts", "200"): {
        "account": _link(
            "admin_accounts-account", "The first account.", username="$response.body#/accounts/0/username"
        ),
    },
    ("admin_rejected_messages-rejected_messages", "200"): {
        "message": _link("admin_rejected_messages-rejected_message", "The newest message.", **_MESSAGE),
        "value": _link("admin_rejected_messages-value", "Its bytes.", **_MESSAGE),
    },
}
for _name, (_id, _ending) in _ENTITIES.items():
    _entity = {_id: "$response.body#/entity_id"}
    LINKS["writes-create_" + _name, "202"] = {
        "status": STATUS,
        "definition": _link(f"writes-definition_of_{_name}", "Its definition.", **_entity),
        "replace": _link(f"writes-replace_{_name}", "Replace it.", **_entity, **{"if-match": "$response.body#/etag"}),
        _ending: _link(f"writes-{_ending}_of_{_name}", f"Record its {_ending}.", **_entity),
    }
    LINKS["writes-replace_" + _name, "202"] = {"status": STATUS}
    LINKS[f"writes-definition_of_{_name}", "200"] = {
        "replace": _link(f"writes-replace_{_name}", "Replace it.", **_entity, **{"if-match": "$response.header.ETag"}),
    }
    LINKS[f"writes-{_ending}_of_{_name}", "202"] = {"status": STATUS}


def describe_links(operation: dict[str, Any]) -> None:
    """Add the links to the responses of an operation."""
    for status, response in operation["responses"].items():
        if found := LINKS.get((operation["operationId"], status)):
            response["links"] = found
