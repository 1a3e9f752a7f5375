"""Examples of bodies and responses of the operations whose routes declare none, by operation id."""

from typing import Any

_TOKENS = {
    "access_token": "eyJhbGciOiJFZERTQSIsImtpZCI6Ii4uLiIsInR5cCI6ImF0K2p3dCJ9...", "token_type": "bearer",
    "expires_in": 900, "refresh_token": "rt_Zm9vYmFyYmF6...", "refresh_expires_in": 604_800,
}  # fmt: skip
_ACTIVE = {"name": "okr_key_result_forecast", "version": "7", "role": "champion"}
_PREDICTION = {
    "key_result_id": "kr-nps", "status": "forecast", "detail": None, "cycle_id": "2026-q4", "final_score": None,
    "is_achieved": None, "prediction_id": "0199c2c4-6f0e-7c1a-8d5e-3b7a52f0c9aa", "probability": 0.62, "low": 0.31,
    "high": 0.97, "level": 0.9, "output": None, "abstained": False,
    "reasons": ["The owner's confidence is 70%. This multiplies the odds by 1.9."],
    "contributions": {"confidence": 0.64, "progress_ratio": -0.35, "season_ratio": 0.22, "base": -0.02}, "margin": 0.49,
    "model_name": "okr_key_result_forecast", "model_version": "7", "experiment": None, "arm": None,
    "as_of": "2026-11-20T12:00:00Z", "known_at": "2026-11-20T12:00:00Z",
}  # fmt: skip
_VERSION = {
    "version": "7", "aliases": ["champion"], "created_at": "2026-11-19T02:10:00Z", "metrics": {"brier": 0.108},
}  # fmt: skip
_DIRECTIVE = {
    "directive_id": 3, "reference": "champion", "created_at": "2026-11-19T02:12:00Z", "created_by": "admin",
}  # fmt: skip
_WORKER = {
    "worker_id": "0199c2c4-0000-7c1a-8d5e-3b7a52f0c9aa", "host": "okr-1", "process_id": 4711,
    "started_at": "2026-11-18T08:00:00Z", "directive_id": 3, "problem": None,
    "versions": [{**_ACTIVE, "is_active": True, "arm": None, "loaded_at": "2026-11-19T02:12:01Z"}],
}  # fmt: skip
_MODEL = {
    "name": "okr_key_result_forecast", "description": "Whether a key result is achieved by its deadline.",
    "takes_key_result_ids": True, "input": {"type": "object"}, "output": {"type": "object"}, "active": _ACTIVE,
    "detail": None, "directive": _DIRECTIVE, "experiment": None, "versions": [_VERSION], "workers": [_WORKER],
}  # fmt: skip
_MODELS = {
    "active": _ACTIVE, "detail": None, "model_name": _MODEL["name"], "versions": [_VERSION], "models": [_MODEL],
}  # fmt: skip
_PUBLICATION = {
    "publication_id": 41, "published_at": "2026-11-20T12:00:40Z", "data_as_of": "2026-11-20T12:00:00Z",
    "model_version": "7", "dbt_run_id": "scheduled__2026-11-20", "is_current": True, "rolled_back_at": None,
    "resumed_at": None, "rows": {"mart_okr_scorecard": 2_295},
}  # fmt: skip
_GATE_RESULT = {
    "gate_result_id": 90, "gate": "marts", "run_id": "scheduled__2026-11-20", "validated_at": "2026-11-20T12:00:30Z",
    "passed": True, "checked_rows": 377_405, "expectations": 58, "failed": 0,
}  # fmt: skip
_OUTBOX = {"posted": 12, "sent": 12, "not_persisted": 0, "waiting": 0, "rejected": 0}
_KEY = {
    "kty": "OKP",
    "crv": "Ed25519",
    "use": "sig",
    "alg": "EdDSA",
    "kid": "2026-11-01",
    "x": "11qYAYKxCrfVS_7TyWQ...",
}

RESPONSES: dict[str, Any] = {
    "health-livez": {"status": "alive"},
    "health-readyz": {"status": "ready"},
    "health-health": {"status": "ok"},
    "auth-token": _TOKENS,
    "auth-refresh": _TOKENS,
    "auth-me": {
        "username": "ada", "role": "lead", "organisation_id": "example", "user_id": "u-17", "team_ids": ["team-sales"],
        "rights": ["predict", "read-data"], "plan": "standard",
    },
    "auth-sessions": {
        "sessions": [
            {
                "session_id": "0199c2c4-6f0e-7c1a-8d5e-3b7a52f0c9aa", "kind": "app",
                "started_at": "2026-11-20T08:00:00Z", "expires_at": "2026-11-27T08:00:00Z", "client": None,
                "is_current": False,
            }
        ]
    },
    "auth-jwks": {"keys": [_KEY]},
    "predictor-predict": {
        "publication_id": 41, "data_as_of": "2026-11-20T12:00:00Z", "model": _ACTIVE, "predictions": [_PREDICTION],
    },
    "predictor-models": _MODELS,
    "predictor-load": {**_MODELS, "is_loaded": True, "directive": _DIRECTIVE, "loading": [_WORKER]},
    "admin_state-state": {
        "publications": [_PUBLICATION], "gate_results": [_GATE_RESULT], "outbox": _OUTBOX, "telemetry": _OUTBOX,
        "prediction_log": {"posted": 200, "not_persisted": 0, "bytes": 40_960, "seconds_behind": 0.1},
    },
}  # fmt: skip
BODIES: dict[str, Any] = {
    "auth-token": {"username": "ada", "password": "correct horse battery staple"},
    "auth-refresh": {"refresh_token": "rt_Zm9vYmFyYmF6..."},
    "auth-change_password": {
        "username": "ada",
        "password": "correct horse battery staple",
        "new_password": "a longer phrase than before",
    },
    "predictor-predict": {"key_result_ids": ["kr-nps"]},
    "predictor-load": {"alias": "champion"},
    "check_ins-record_check_in": {"key_result_id": "kr-nps", "value": 31.0, "confidence": 0.7},
    "check_ins-correct_check_in": {"value": 33.0, "confidence": 0.8, "note": "The survey of January is in."},
    "admin_publications-roll_back": {"current_publication_id": 42},
    "admin_quarantine-release": {"event_ids": ["0199c2c4-6f0e-7c1a-8d5e-3b7a52f0c9aa"], "reason": "It is correct."},
    "admin_quarantine-withhold": {"event_ids": ["0199c2c4-6f0e-7c1a-8d5e-3b7a52f0c9aa"], "reason": "A typing error."},
    "admin_experiments-stop": {"reason": "The new version is better."},
    "admin_rate_plans-change": {"requests_per_second": 500, "burst": 1_000, "description": "Internal dashboards."},
}


def describe_examples(operation: dict[str, Any]) -> None:
    """Add examples to the body and to the successful response of an operation, unless its route declares them."""
    name = operation["operationId"]
    if name in RESPONSES:
        status = next(each for each in ("200", "201", "202") if each in operation["responses"])
        content = operation["responses"][status].setdefault("content", {}).setdefault("application/json", {})
        content.setdefault("example", RESPONSES[name])
    if name in BODIES:
        for content in operation["requestBody"]["content"].values():
            content.setdefault("example", BODIES[name])
