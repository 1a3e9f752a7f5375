"""Check-ins by the API: recorded once however often they are sent, corrected explicitly, never in silence."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, TopicPartition
from httpx import Response

from ingestion.events import decode, encode
from ingestion.producer import EventProducer
from ingestion.state.consumer import follow
from lakehouse.contracts.check_in import CheckInRecorded
from lakehouse.contracts.key_result import KeyResultDefined
from lakehouse.errors import RetryableError
from lakehouse.settings import Settings
from lakehouse.warehouse import connect
from serving.check_ins.store import Requests
from tests.serving.client import Api, serving

TOPIC = "okr_user_events"
Post = Callable[..., Response]


def word() -> str:
    return f"test-{uuid4()}"


def post(api: Api, headers: dict[str, str], body: dict[str, Any], key: str | None = None, query: str = "") -> Response:
    extra = {} if key is None else {"Idempotency-Key": key}
    return api.client.post(f"/v1/check-ins{query}", json=body, headers={**headers, **extra})


def put(api: Api, headers: dict[str, str], check_in_id: str, body: dict[str, Any], key: str | None = None) -> Response:
    extra = {} if key is None else {"Idempotency-Key": key}
    return api.client.put(f"/v1/check-ins/{check_in_id}", json=body, headers={**headers, **extra})


def accepted(answer: Response) -> dict[str, Any]:
    assert answer.status_code == 202, answer.text
    body: dict[str, Any] = answer.json()
    return body


def events_of(settings: Settings, check_in_id: str) -> list[tuple[str, datetime, CheckInRecorded]]:
    """Every event of a check-in that the log holds: its id, its time and what it says."""
    consumer = Consumer({"bootstrap.servers": settings.kafka_bootstrap, "group.id": str(uuid4())})
    spans = {
        number: consumer.get_watermark_offsets(TopicPartition(TOPIC, number), 10)
        for number in consumer.list_topics(TOPIC, 10).topics[TOPIC].partitions
    }
    # Other tests empty the topic: what is left does not begin at offset 0.
    consumer.assign([TopicPartition(TOPIC, number, start) for number, (start, _end) in spans.items()])
    ends = {number: end for number, (start, end) in spans.items() if end > start}
    found, left = [], set(ends)
    while left:
        message = consumer.poll(5)
        assert message is not None
        assert message.error() is None
        if message.offset() + 1 >= ends[message.partition()]:
            left.discard(message.partition())
        if check_in_id.encode() in (message.value() or b""):
            decoded = decode(TOPIC, message.value(), message.key())
            assert isinstance(decoded.payload, CheckInRecorded)
            found.append((str(decoded.envelope.id), decoded.envelope.time, decoded.payload))
    consumer.close()
    return found


def read_state(settings: Settings) -> None:
    """Let the state consumer read what the log holds."""
    follow(settings, threading.Event(), drain=True)


def test_a_repeated_request_gets_the_first_answer_in_any_process_and_after_a_restart(
    api: Api, app_headers: dict[str, str]
) -> None:
    body, key = {"key_result_id": "rtl", "value": 1.5, "confidence": 0.4, "note": word()}, word()
    first = post(api, app_headers, body, key)
    again = post(api, app_headers, body, key)
    with serving(api.settings) as another:
        elsewhere = post(another, another.headers(), body, key)
    assert accepted(first) == accepted(again) == accepted(elsewhere)
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == elsewhere.headers["idempotent-replayed"] == "true"
    told = events_of(api.settings, accepted(first)["check_in_id"])
    assert [event_id for event_id, _, _ in told] == [accepted(first)["event_id"]]


def test_a_check_in_repeated_after_a_later_one_does_not_overwrite_it(api: Api, app_headers: dict[str, str]) -> None:
    one, two = word(), word()
    first = accepted(post(api, app_headers, {"key_result_id": "long", "value": 1.0, "check_in_id": one}))
    later = accepted(post(api, app_headers, {"key_result_id": "long", "value": 2.0, "check_in_id": two}))
    again = accepted(post(api, app_headers, {"key_result_id": "long", "value": 1.0, "check_in_id": one}))
    assert again == first
    read_state(api.settings)
    with connect(api.settings.require("dsn_loader")) as connection:
        rows = connection.execute(
            "SELECT check_in_id, event_count FROM (SELECT check_in_id, checked_in_at, "
            "(SELECT count(*) FROM app.event WHERE entity_id = check_in_id) AS event_count "
            "FROM app.check_ins WHERE check_in_id = ANY(%s)) AS found ORDER BY checked_in_at",
            [[one, two]],
        ).fetchall()
    assert rows == [(one, 1), (two, 1)], "the later one is still the later one"
    assert later["occurred_at"] > first["occurred_at"]


def test_the_same_request_from_many_clients_at_once_is_one_check_in(api: Api, app_headers: dict[str, str]) -> None:
    """Where the second came before the first was done, both were executed
    (https://github.com/mastodon/mastodon/pull/37879), or the loser got a 503
    (https://github.com/idempot-dev/idempot-js/pull/186)."""
    body, key = {"key_result_id": "rtl", "value": 1.25}, word()
    with serving(api.settings) as another, ThreadPoolExecutor(8) as pool:
        apis = [api, another] * 6
        answers = list(pool.map(lambda each: accepted(post(each, app_headers, body, key)), apis))
    assert len({(each["event_id"], each["check_in_id"], each["occurred_at"]) for each in answers}) == 1
    told = events_of(api.settings, answers[0]["check_in_id"])
    assert {event_id for event_id, _, _ in told} == {answers[0]["event_id"]}, "copies of one event count once"


@pytest.mark.parametrize("by", ["key", "check_in_id"])
@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"value": 2.0}, "value"), ({"confidence": 0.5}, "confidence"), ({"note": "x"}, "note"),
        ({"is_final": True}, "is_final"), ({"key_result_id": "long"}, "key_result_id"),
    ],
)  # fmt: skip
def test_the_same_key_or_id_with_other_words_is_a_conflict_that_says_what_differs(
    api: Api, app_headers: dict[str, str], by: str, change: dict[str, Any], field: str
) -> None:
    """A key that was not bound to its request gave the second one the first one's answer
    (https://github.com/nensii21/devlink/pull/1200); a check-in's id used again moved the check-in."""
    body = {"key_result_id": "rtl", "value": 1.0, "check_in_id": word()}
    key = word() if by == "key" else None
    first = accepted(post(api, app_headers, body, key))
    answer = post(api, app_headers, {**body, **change}, key)
    assert answer.status_code == 409
    problem = answer.json()
    assert problem["type"] == "urn:okr:problem:conflict"
    assert [each["field"] for each in problem["differs"]] == [field]
    assert f"PUT /v1/check-ins/{first['check_in_id']}" in problem["detail"]
    assert len(events_of(api.settings, first["check_in_id"])) == 1


def test_a_key_belongs_to_one_account(api: Api, app_headers: dict[str, str]) -> None:
    key, body = word(), {"key_result_id": "rtl", "value": 1.0}
    mine = accepted(post(api, app_headers, body, key))
    theirs = accepted(post(api, api.headers("admin"), {**body, "value": 2.0}, key))
    assert mine["check_in_id"] != theirs["check_in_id"]


def test_a_request_that_was_refused_may_be_sent_again_under_its_key(api: Api, app_headers: dict[str, str]) -> None:
    """A cached refusal blocked the legitimate retry (https://github.com/KanishJebaMathewM/Truxify/pull/2885)."""
    key = word()
    assert post(api, app_headers, {"key_result_id": "rtl", "value": "1"}, key).status_code == 422
    assert post(api, app_headers, {"key_result_id": "unknown", "value": 1.0}, key).status_code == 422
    accepted(post(api, app_headers, {"key_result_id": "rtl", "value": 1.0}, key))


@pytest.mark.parametrize("key", ["", "a\tb", "x" * 256, "ü"])
def test_a_key_that_is_no_word_is_refused(api: Api, app_headers: dict[str, str], key: str) -> None:
    headers = {**app_headers, "Idempotency-Key": key.encode("latin-1")}
    answer = api.client.post("/v1/check-ins", json={"key_result_id": "rtl", "value": 1.0}, headers=headers)  # type: ignore[arg-type]
    assert answer.status_code == 422
    assert "Idempotency-Key" in answer.json()["detail"]


def test_two_keys_in_one_request_are_refused(api: Api, app_headers: dict[str, str]) -> None:
    headers = [*app_headers.items(), ("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    answer = api.client.post("/v1/check-ins", json={"key_result_id": "rtl", "value": 1.0}, headers=headers)
    assert answer.status_code == 422
    assert "idempotency-key: Expected at most once" in answer.json()["detail"]


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
    told = events_of(api.settings, check_in_id)
    assert [(event_id, payload.value) for event_id, _, payload in told] == [
        (first["event_id"], 3.0),
        (accepted(corrected)["event_id"], 4.0),
    ]
    assert len({at for _, at, _ in told}) == 1
    back = accepted(put(api, app_headers, check_in_id, {"value": 3.0}))
    assert back["event_id"] not in {event_id for event_id, _, _ in told}, "changed back is a change"


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
    ((_, _, told),) = events_of(api.settings, check_in_id)
    assert (told.organisation_id, told.user_id) == (None, None)
    read_state(api.settings)
    with connect(api.settings.require("dsn_loader")) as connection:
        kept = "SELECT key_result_id FROM app.check_ins WHERE check_in_id = %s"
        assert connection.execute(kept, [check_in_id]).fetchall() == [("rtl",)]


def test_a_check_in_of_another_source_is_known_by_its_id(api: Api, app_headers: dict[str, str]) -> None:
    check_in_id, at = word(), datetime(2026, 11, 2, 8, tzinfo=UTC)
    data = CheckInRecorded(check_in_id=check_in_id, key_result_id="rtl", value=0.7, user_id="u")
    event = encode(data, at=at, source="file")
    with EventProducer(str(api.settings.kafka_bootstrap)) as producer:
        producer.send(event)
    read_state(api.settings)
    body = {"key_result_id": "rtl", "value": 0.7, "check_in_id": check_in_id}
    repeated = post(api, app_headers, body)
    assert accepted(repeated)["occurred_at"] == "2026-11-02T08:00:00Z"
    assert repeated.headers["idempotent-replayed"] == "true"
    assert post(api, app_headers, {**body, "key_result_id": "long"}).status_code == 409
    assert accepted(put(api, app_headers, check_in_id, {"value": 0.8}))["occurred_at"] == "2026-11-02T08:00:00Z"
    told = [(payload.value, payload.user_id) for _, _, payload in events_of(api.settings, check_in_id)]
    assert told == [(0.7, "u"), (0.8, "u")]


def test_an_unknown_key_result_is_told_with_known_ones_nearby(api: Api, app_headers: dict[str, str]) -> None:
    answer = post(api, app_headers, {"key_result_id": "rtx", "value": 1.0})
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["type"] == "urn:okr:problem:unknown-name"
    assert problem["pointer"] == "#/key_result_id"
    assert problem["nearby"] == []
    similar = post(api, app_headers, {"key_result_id": "MARKUP", "value": 1.0}).json()
    assert similar["nearby"] == ["markup"]
    allowed = accepted(post(api, app_headers, {"key_result_id": "rtx", "value": 1.0}, query="?allow_unknown=true"))
    assert [each["code"] for each in allowed["warnings"]] == ["unknown_key_result"]


def test_a_key_result_that_is_defined_but_not_published_yet_is_known(api: Api, app_headers: dict[str, str]) -> None:
    key_result_id = word()
    data = KeyResultDefined(
        key_result_id=key_result_id, objective_id="o", title="New", unit="eur", baseline=0.0, target=10.0,
        direction="increase",
    )  # fmt: skip
    with EventProducer(str(api.settings.kafka_bootstrap)) as producer:
        producer.send(encode(data, at=datetime.now(UTC), source="test"))
    read_state(api.settings)
    answer = accepted(post(api, app_headers, {"key_result_id": key_result_id, "value": -45.0}))
    (told,) = answer["warnings"]
    assert told["code"] == "implausible_value"
    assert "-45 is -450% of the way from the baseline 0 to the target 10 eur" in told["detail"]


def test_a_check_in_of_what_is_closed_says_that_it_changes_no_outcome(api: Api, app_headers: dict[str, str]) -> None:
    found = api.client.get("/v1/key-results?status=achieved&status=missed&limit=1", headers=app_headers).json()
    (closed,) = found["key_results"]
    body = {"key_result_id": closed["key_result_id"], "value": closed["final_value"]}
    assert "closed" in [each["code"] for each in accepted(post(api, app_headers, body))["warnings"]]


def test_what_could_not_be_kept_is_recorded_once_when_it_is_sent_again(
    api: Api, tmp_path: Path, app_headers: dict[str, str]
) -> None:
    full = api.settings.model_copy(update={"kafka_bootstrap": "127.0.0.1:9", "state": tmp_path, "spool_events": 1})
    body, key = {"key_result_id": "rtl", "value": 1.0}, word()
    with serving(full) as cut_off:
        accepted(post(cut_off, app_headers, body))  # fills it
        refused = post(cut_off, app_headers, body, key)
        assert refused.status_code == 503
    check_in_id = refused.json()["detail"].partition('"check_in_id": "')[2].partition('"')[0]
    one = accepted(post(api, app_headers, {**body, "check_in_id": check_in_id}))
    assert accepted(post(api, app_headers, body, key)) == one
    assert [event_id for event_id, _, _ in events_of(api.settings, check_in_id)] == [one["event_id"]]


def test_a_process_that_dies_after_keeping_the_event_sends_no_second_one(
    api: Api, app_headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    body, key = {"key_result_id": "rtl", "value": 1.0}, word()

    def dies(*_: object, **__: object) -> None:
        raise RetryableError("as if the process had ended here")

    with monkeypatch.context() as patch:
        patch.setattr(Requests, "kept", dies)
        first = accepted(post(api, app_headers, body, key))
    again = accepted(post(api, app_headers, body, key))
    assert again["event_id"] == first["event_id"]
    assert {event_id for event_id, _, _ in events_of(api.settings, first["check_in_id"])} == {first["event_id"]}


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


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-1e400"])
def test_a_check_in_of_no_finite_number_is_refused(api: Api, app_headers: dict[str, str], number: str) -> None:
    body = f'{{"key_result_id": "k", "value": {number}}}'
    headers = {**app_headers, "Content-Type": "application/json"}
    assert api.client.post("/v1/check-ins", content=body, headers=headers).status_code == 422
