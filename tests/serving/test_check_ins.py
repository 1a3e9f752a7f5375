"""Check-ins by the API: corrected explicitly, of a key result that is known, never silently."""

import gzip
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from psycopg.errors import InsufficientPrivilege

from ingestion.contract_validation import encode
from ingestion.producer import EventProducer
from lakehouse.contracts.check_in import CheckInRecorded
from lakehouse.contracts.cycle import CycleDefined
from lakehouse.contracts.key_result import KeyResultDefined
from lakehouse.contracts.objective import ObjectiveDefined
from lakehouse.kafka_connection import KafkaConnection
from lakehouse.warehouse import connect
from serving.http.strict_requests import _reject_duplicates
from tests.serving.check_in_requests import accepted, events_of, post, put, read_state, word
from tests.serving.live_server import Api


def test_a_correction_replaces_what_was_said_at_its_own_moment(api: Api, app_headers: dict[str, str]) -> None:
    check_in_id = word()
    first = accepted(post(api, app_headers, {"key_result_id": "rtl", "value": 3.0, "check_in_id": check_in_id}))
    corrected = put(api, app_headers, check_in_id, {"value": 4.0, "note": "typing error"})
    assert accepted(corrected)["occurred_at"] == first["occurred_at"]
    assert accepted(corrected)["event_id"] != first["event_id"]
    again = put(api, app_headers, check_in_id, {"value": 4.0, "note": "typing error"})
    assert accepted(again) == accepted(corrected)
    assert again.headers["idempotent-replayed"] == "true"
    repeated = post(api, app_headers, {"key_result_id": "rtl", "value": 3.0, "check_in_id": check_in_id})
    assert accepted(repeated) == first, "a late repeat of the first request takes no correction back"
    logged = events_of(api.settings, check_in_id)
    assert [(event_id, payload.value) for event_id, _, payload in logged] == [
        (first["event_id"], 3.0),
        (accepted(corrected)["event_id"], 4.0),
    ]
    assert len({at for _, at, _ in logged}) == 1
    back = accepted(put(api, app_headers, check_in_id, {"value": 3.0}))
    assert back["event_id"] not in {event_id for event_id, _, _ in logged}, "changed back is a change"


def test_a_correction_repeated_before_the_log_has_caught_up_is_one(api: Api, app_headers: dict[str, str]) -> None:
    check_in_id = word()
    accepted(post(api, app_headers, {"key_result_id": "rtl", "value": 3.0, "check_in_id": check_in_id}))
    read_state(api.settings)
    first = accepted(put(api, app_headers, check_in_id, {"value": 4.0}))
    again = put(api, app_headers, check_in_id, {"value": 4.0})
    assert accepted(again) == first
    assert again.headers["idempotent-replayed"] == "true"
    other = CheckInRecorded(check_in_id=check_in_id, key_result_id="rtl", value=5.0)
    with EventProducer(KafkaConnection.of(api.settings)) as producer:
        producer.send(encode(other, at=datetime.fromisoformat(first["occurred_at"]), source="file"))
    read_state(api.settings)
    changed_back = accepted(put(api, app_headers, check_in_id, {"value": 4.0}))
    assert changed_back["event_id"] != first["event_id"], "the log had something newer"
    logged = [payload.value for _, _, payload in events_of(api.settings, check_in_id)]
    assert logged == [3.0, 4.0, 5.0, 4.0]


def test_a_correction_under_a_key_is_repeated_safely_even_after_another(api: Api, app_headers: dict[str, str]) -> None:
    check_in_id, key = word(), word()
    accepted(post(api, app_headers, {"key_result_id": "rtl", "value": 1.0, "check_in_id": check_in_id}, key))
    first = accepted(put(api, app_headers, check_in_id, {"value": 2.0}, key))
    accepted(put(api, app_headers, check_in_id, {"value": 3.0}))
    assert accepted(put(api, app_headers, check_in_id, {"value": 2.0}, key)) == first
    assert [payload.value for _, _, payload in events_of(api.settings, check_in_id)] == [1.0, 2.0, 3.0]
    assert put(api, app_headers, check_in_id, {"value": 5.0}, key).status_code == 409


def test_what_cannot_be_corrected_is_told(api: Api, app_headers: dict[str, str]) -> None:
    assert put(api, app_headers, word(), {"value": 1.0}).status_code == 404
    check_in_id = word()
    accepted(post(api, app_headers, {"key_result_id": "rtl", "value": 1.0, "check_in_id": check_in_id}))
    answer = put(api, app_headers, check_in_id, {"value": 1.0, "key_result_id": "long"})
    assert answer.status_code == 409
    assert "cannot move it" in answer.json()["detail"]
    assert put(api, app_headers, check_in_id, {"value": 1.0, "score": 1}).status_code == 422


def test_a_check_in_by_the_api_names_neither_organisation_nor_user_so_that_nothing_contradicts_its_key_result(
    api: Api, app_headers: dict[str, str]
) -> None:
    refused = post(api, app_headers, {"key_result_id": "rtl", "value": 1.0, "organisation_id": "another"})
    assert refused.status_code == 422
    assert "organisation_id" in refused.json()["detail"]
    check_in_id = accepted(post(api, app_headers, {"key_result_id": "rtl", "value": 1.25}))["check_in_id"]
    ((_, _, logged),) = events_of(api.settings, check_in_id)
    assert (logged.organisation_id, logged.user_id) == (None, None)
    read_state(api.settings)
    with connect(api.settings.require("dsn_loader")) as connection:
        kept = "SELECT key_result_id FROM app.check_ins WHERE check_in_id = %s"
        assert connection.execute(kept, [check_in_id]).fetchall() == [("rtl",)]


def test_a_check_in_of_another_source_is_known_by_its_id(api: Api, app_headers: dict[str, str]) -> None:
    check_in_id, at = word(), datetime(2026, 11, 2, 8, tzinfo=UTC)
    data = CheckInRecorded(check_in_id=check_in_id, key_result_id="rtl", value=0.7, user_id="u")
    event = encode(data, at=at, source="file")
    with EventProducer(KafkaConnection.of(api.settings)) as producer:
        producer.send(event)
    read_state(api.settings)
    body = {"key_result_id": "rtl", "value": 0.7, "check_in_id": check_in_id}
    repeated = post(api, app_headers, body)
    assert accepted(repeated)["occurred_at"] == "2026-11-02T08:00:00Z"
    assert repeated.headers["idempotent-replayed"] == "true"
    assert post(api, app_headers, {**body, "key_result_id": "long"}).status_code == 409
    assert accepted(put(api, app_headers, check_in_id, {"value": 0.8}))["occurred_at"] == "2026-11-02T08:00:00Z"
    logged = [(payload.value, payload.user_id) for _, _, payload in events_of(api.settings, check_in_id)]
    assert logged == [(0.7, "u"), (0.8, "u")]


def test_an_unknown_key_result_is_an_error_that_suggests_similar_ids(api: Api, app_headers: dict[str, str]) -> None:
    answer = post(api, app_headers, {"key_result_id": "rtx", "value": 1.0})
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["type"] == "urn:okr:problem:unknown-name"
    assert problem["pointer"] == "#/key_result_id"
    assert problem["similar"] == []
    assert problem["detail"].endswith("No known name is similar.")
    similar = post(api, app_headers, {"key_result_id": "MARKUP", "value": 1.0}).json()
    assert similar["similar"] == ["markup"]
    allowed = accepted(post(api, app_headers, {"key_result_id": "rtx", "value": 1.0}, query="?allow_unknown=true"))
    assert [each["code"] for each in allowed["warnings"]] == ["unknown_key_result"]


def test_a_key_result_that_is_defined_but_not_published_yet_is_known(api: Api, app_headers: dict[str, str]) -> None:
    key_result_id = word()
    data = KeyResultDefined(
        key_result_id=key_result_id, objective_id="o", title="New", unit="eur", baseline=0.0, target=10.0,
        direction="increase",
    )  # fmt: skip
    with EventProducer(KafkaConnection.of(api.settings)) as producer:
        producer.send(encode(data, at=datetime.now(UTC), source="test"))
    read_state(api.settings)
    answer = accepted(post(api, app_headers, {"key_result_id": key_result_id, "value": -45.0}))
    (logged,) = answer["warnings"]
    assert logged["code"] == "implausible_value"
    assert "-45 is -450% of the way from the baseline 0 to the target 10 eur" in logged["detail"]


def test_a_closing_check_in_says_which_cycle_it_closes(api: Api, app_headers: dict[str, str]) -> None:
    now, name = datetime.now(UTC), word()
    cycles = {"past": (now - timedelta(100), now - timedelta(5)), "present": (now - timedelta(4), now + timedelta(90))}
    facts: list[tuple[datetime, Any]] = []
    for cycle, (start, end) in cycles.items():
        of = f"{name}-{cycle}"
        defined = CycleDefined(
            cycle_id=of, organisation_id="o", name=f"The {cycle} one", starts_on=start.date(), ends_on=end.date()
        )
        key_result = KeyResultDefined(
            key_result_id=name, objective_id=of, title="Planned", unit="eur", baseline=0.0, target=10.0,
            direction="increase",
        )  # fmt: skip
        facts += [
            (start, defined),
            (start, ObjectiveDefined(objective_id=of, team_id="t", cycle_id=of, title="O")),
            (now - timedelta(90 if cycle == "past" else 8), key_result),
        ]
    with EventProducer(KafkaConnection.of(api.settings)) as producer:
        for at, fact in facts:
            producer.send(encode(fact, at=at, source="test"))
    closed = []
    for value in (9.0, 10.0):
        read_state(api.settings)
        body = {"key_result_id": name, "value": value, "is_final": True}
        (logged,) = accepted(post(api, app_headers, body))["warnings"]
        assert logged["code"] == "closes_cycle"
        closed.append(re.split("[.,]", logged["detail"])[0])
    assert closed == ["It closes the key result in 'The past one'", "It closes the key result in 'The present one'"]
    read_state(api.settings)
    with connect(api.settings.require("dsn_loader")) as connection:
        query = "SELECT cycle_id, last_value FROM app.key_result_cycles WHERE key_result_id = %s ORDER BY opened_at"
        outcomes = connection.execute(query, [name]).fetchall()
    assert outcomes == [(f"{name}-past", 9.0), (f"{name}-present", 10.0)]


def test_a_check_in_of_what_is_closed_says_what_it_does_to_the_outcome(api: Api, app_headers: dict[str, str]) -> None:
    found = api.client.get("/v1/key-results?status=achieved&status=missed&limit=1", headers=app_headers).json()
    (closed,) = found["key_results"]
    body = {"key_result_id": closed["key_result_id"], "value": closed["final_value"]}
    assert "closed" in [each["code"] for each in accepted(post(api, app_headers, body))["warnings"]]
    again = accepted(post(api, app_headers, {**body, "is_final": True}))
    assert "closes_again" in [each["code"] for each in again["warnings"]]


@pytest.mark.parametrize(
    "change",
    [
        {"value": "3"}, {"value": None}, {"value": 1e16}, {"value": True}, {"confidence": True}, {"confidence": "0.5"},
        {"key_result_id": "k\u200b"}, {"check_in_id": "c\u00a01"},
        {"is_final": 1},
        {"is_final": "true"}, {"note": 5}, {"check_in_id": 7}, {"confidence": 1.1}, {"confidence": -0.1},
        {"key_result_id": ""}, {"key_result_id": " k"}, {"note": "x" * 10_001}, {"note": "a\u0000b"}, {"score": 1},
    ],
)  # fmt: skip
def test_a_check_in_that_breaks_its_contract_is_refused(
    api: Api, app_headers: dict[str, str], change: dict[str, object]
) -> None:
    """`true` was 1 and "0.5" was 0.5, as in https://github.com/fastapi/fastapi/issues/182."""
    body = {"key_result_id": "rtl", "value": 1.0, **change}
    answer = api.client.post("/v1/check-ins", json=body, headers=app_headers)
    assert answer.status_code == 422, answer.text
    assert next(iter(change)) in answer.json()["detail"]
    assert " items" not in answer.json()["detail"], "a text has characters"


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-1e400"])
def test_a_check_in_of_no_finite_number_is_refused(api: Api, app_headers: dict[str, str], number: str) -> None:
    body = f'{{"key_result_id": "k", "value": {number}}}'
    headers = {**app_headers, "Content-Type": "application/json"}
    assert api.client.post("/v1/check-ins", content=body, headers=headers).status_code == 422


@pytest.mark.parametrize("twice", ['"value": 1, "value": 2', '"value": 1, "is_final": true, "is_final": false'])
def test_a_name_that_stands_twice_in_a_body_is_refused(api: Api, app_headers: dict[str, str], twice: str) -> None:
    """The last value counted silently, as in https://github.com/elastic/elasticsearch/issues/20241 and
    https://github.com/mrwogu/factory-droid-openai/pull/39."""
    headers = {**app_headers, "Content-Type": "application/json"}
    answer = api.client.post("/v1/check-ins", content=f'{{"key_result_id": "rtl", {twice}}}', headers=headers)
    assert answer.status_code == 400
    assert "Duplicate name" in answer.json()["detail"]


def test_a_long_body_is_read_in_time_that_grows_with_its_length() -> None:
    """Whoever asks, before they have signed in; each name was compared with all others."""
    pairs = [(str(number), 0) for number in range(300_000)]
    with pytest.raises(json.JSONDecodeError, match="at most 1000"):
        _reject_duplicates([*pairs, pairs[-1]])


@pytest.mark.parametrize("field", ["note", "check_in_id", "key_result_id", "value", "\ud800"])
def test_half_a_character_is_refused_and_is_no_error_of_ours(api: Api, app_headers: dict[str, str], field: str) -> None:
    """JSON may name half of a surrogate pair, which no encoding can hold: a late 500, as in
    https://github.com/encode/django-rest-framework/issues/7026."""
    body = json.dumps({"key_result_id": "rtl", "value": 1, field: "\ud800"})
    headers = {**app_headers, "Content-Type": "application/json"}
    answer = api.client.post("/v1/check-ins", content=body, headers=headers)
    assert answer.status_code == 422, answer.text


def test_a_compressed_body_is_refused_by_its_name(api: Api, app_headers: dict[str, str]) -> None:
    """It was no JSON, as in https://github.com/HarperFast/harper/issues/1438: the header is what we do not know."""
    body = gzip.compress(b'{"key_result_id": "rtl", "value": 1}')
    headers = {**app_headers, "Content-Type": "application/json", "Content-Encoding": "gzip"}
    answer = api.client.post("/v1/check-ins", content=body, headers=headers)
    assert answer.status_code == 415
    assert "Content-Encoding" in answer.json()["detail"]


def test_the_api_may_not_read_the_log_of_people_and_definitions(api: Api) -> None:
    with connect(api.settings.require("dsn_serving")) as connection:
        connection.execute("SELECT user_id FROM api.logged_check_in LIMIT 1")
        with pytest.raises(InsufficientPrivilege):
            connection.execute("SELECT data FROM app.event LIMIT 1")
