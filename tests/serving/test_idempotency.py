"""A repeated check-in, by its id or an idempotency key, is recorded once, whatever failed in between."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from ingestion.contract_validation import decode
from ingestion.maintenance.expired_requests import delete_expired_requests
from lakehouse.errors import RetryableError
from lakehouse.warehouse import connect
from serving.check_ins.idempotency import RequestStore, StoredRequest
from serving.errors import NotPersisted
from tests.serving.check_in_requests import TOPIC, accepted, events_of, post, put, read_state, word
from tests.serving.live_server import Api, serving
from tests.serving.topic_reader import read_until


def test_a_repeated_request_gets_the_first_response_in_any_process_and_after_a_restart(
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
    logged = events_of(api.settings, accepted(first)["check_in_id"])
    assert [event_id for event_id, _, _ in logged] == [accepted(first)["event_id"]]


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


@pytest.mark.parametrize("first_key", [None, "another"])
def test_a_key_sent_with_a_repeat_belongs_to_that_check_in(
    api: Api, app_headers: dict[str, str], first_key: str | None
) -> None:
    body, key = {"key_result_id": "rtl", "value": 1.5, "check_in_id": word()}, word()
    first = accepted(post(api, app_headers, body, first_key and word()))
    assert accepted(post(api, app_headers, body, key)) == first
    assert accepted(post(api, app_headers, body, key)) == first
    assert accepted(post(api, app_headers, {"key_result_id": "rtl", "value": 1.5}, key)) == first
    other = post(api, app_headers, {**body, "check_in_id": word()}, key)
    assert other.status_code == 409, other.text
    assert [each["field"] for each in other.json()["differs"]] == ["check_in_id"]


def test_a_key_can_belong_to_a_check_in_from_another_source(api: Api, app_headers: dict[str, str]) -> None:
    body, key = {"key_result_id": "rtl", "value": 1.5, "check_in_id": word()}, word()
    first = accepted(post(api, app_headers, body))
    read_state(api.settings)
    with connect(api.settings.require("dsn_owner"), autocommit=True) as connection:
        connection.execute("DELETE FROM api.check_in_request WHERE check_in_id = %s", [body["check_in_id"]])
    assert accepted(post(api, app_headers, body, key))["event_id"] == first["event_id"]
    assert post(api, app_headers, {**body, "check_in_id": word()}, key).status_code == 409
    assert accepted(post(api, app_headers, body))["event_id"] == first["event_id"]
    assert len(events_of(api.settings, str(body["check_in_id"]))) == 1


def test_a_repeat_with_a_key_does_not_undo_a_correction(api: Api, app_headers: dict[str, str]) -> None:
    body = {"key_result_id": "rtl", "value": 1.5, "check_in_id": word()}
    accepted(post(api, app_headers, body))
    corrected = accepted(put(api, app_headers, str(body["check_in_id"]), {"value": 2.5}))
    accepted(post(api, app_headers, body, word()))
    assert accepted(put(api, app_headers, str(body["check_in_id"]), {"value": 2.5})) == corrected


def test_concurrent_identical_requests_record_one_check_in(api: Api, app_headers: dict[str, str]) -> None:
    """If the second request arrived before the first had finished, both were executed
    (https://github.com/mastodon/mastodon/pull/37879), or the loser got a 503
    (https://github.com/idempot-dev/idempot-js/pull/186)."""
    body, key = {"key_result_id": "rtl", "value": 1.25}, word()
    with serving(api.settings) as another, ThreadPoolExecutor(8) as pool:
        apis = [api, another] * 6
        answers = list(pool.map(lambda each: accepted(post(each, app_headers, body, key)), apis))
    assert len({(each["event_id"], each["check_in_id"], each["occurred_at"]) for each in answers}) == 1
    logged = events_of(api.settings, answers[0]["check_in_id"])
    assert {event_id for event_id, _, _ in logged} == {answers[0]["event_id"]}, "copies of one event count once"


@pytest.mark.parametrize("by", ["key", "check_in_id"])
@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"value": 2.0}, "value"), ({"confidence": 0.5}, "confidence"), ({"note": "x"}, "note"),
        ({"is_final": True}, "is_final"), ({"key_result_id": "long"}, "key_result_id"),
    ],
)  # fmt: skip
def test_the_same_key_or_id_with_other_content_is_a_conflict_that_names_the_differences(
    api: Api, app_headers: dict[str, str], by: str, change: dict[str, Any], field: str
) -> None:
    """If a key is not bound to its request, the second request gets the response of the first
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


def test_a_rejected_request_may_be_sent_again_with_its_key(api: Api, app_headers: dict[str, str]) -> None:
    """A cached rejection blocked the legitimate retry (https://github.com/KanishJebaMathewM/Truxify/pull/2885)."""
    key = word()
    assert post(api, app_headers, {"key_result_id": "rtl", "value": "1"}, key).status_code == 422
    assert post(api, app_headers, {"key_result_id": "unknown", "value": 1.0}, key).status_code == 422
    accepted(post(api, app_headers, {"key_result_id": "rtl", "value": 1.0}, key))


@pytest.mark.parametrize("key", ["", "a\tb", "x" * 256, "ü"])
def test_a_malformed_key_is_rejected(api: Api, app_headers: dict[str, str], key: str) -> None:
    headers = {**app_headers, "Idempotency-Key": key.encode("latin-1")}
    answer = api.client.post("/v1/check-ins", json={"key_result_id": "rtl", "value": 1.0}, headers=headers)  # type: ignore[arg-type]
    assert answer.status_code == 422
    assert "Idempotency-Key" in answer.json()["detail"]


def test_two_keys_in_one_request_are_rejected(api: Api, app_headers: dict[str, str]) -> None:
    headers = [*app_headers.items(), ("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    answer = api.client.post("/v1/check-ins", json={"key_result_id": "rtl", "value": 1.0}, headers=headers)
    assert answer.status_code == 422
    assert "idempotency-key: Expected at most once" in answer.json()["detail"]


def test_a_check_in_that_could_not_be_persisted_is_recorded_once_when_it_is_repeated(
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


def test_a_check_in_that_another_account_repeats_keeps_the_source_that_sent_it_first(
    api: Api, app_headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_self: object, _event: object) -> bool:
        raise NotPersisted("The spool is full.")

    body = {"key_result_id": "rtl", "value": 1.0, "check_in_id": word()}
    with monkeypatch.context() as patch:
        patch.setattr(type(api.services.write_sender), "deliver", full)
        assert post(api, app_headers, body).status_code == 503
    accepted(post(api, api.headers("admin"), body))
    found = read_until(api.settings, TOPIC, lambda value: body["check_in_id"].encode() in value)
    assert decode(TOPIC, found.value, found.key).envelope.source == "okr-api/app"


def test_after_a_crash_behind_the_write_a_repeat_sends_the_same_event(
    api: Api, app_headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    body, key = {"key_result_id": "rtl", "value": 1.0}, word()

    def dies(*_: object, **__: object) -> None:
        raise RetryableError("as if the process had ended here")

    with monkeypatch.context() as patch:
        patch.setattr(RequestStore, "mark_persisted", dies)
        first = accepted(post(api, app_headers, body, key))
    again = accepted(post(api, app_headers, body, key))
    assert again["event_id"] == first["event_id"]
    assert {event_id for event_id, _, _ in events_of(api.settings, first["check_in_id"])} == {first["event_id"]}


def forget(api: Api, check_in_id: str) -> None:
    """Delete the requests of a check-in, as happens after 90 days; the state tables have its events."""
    read_state(api.settings)
    with connect(api.settings.require("dsn_owner"), autocommit=True) as connection:
        connection.execute(
            "UPDATE api.check_in_request SET received_at = now() - interval '91 days' WHERE check_in_id = %s",
            [check_in_id],
        )
        delete_expired_requests(api.settings)
        left = connection.execute("SELECT FROM api.check_in_request WHERE check_in_id = %s", [check_in_id]).rowcount
    assert left == 0


def test_a_repeat_of_a_deleted_request_is_answered_from_the_log(api: Api, app_headers: dict[str, str]) -> None:
    body = {"key_result_id": "rtl", "value": 1.0, "check_in_id": word()}
    first = accepted(post(api, app_headers, body, word()))
    forget(api, first["check_in_id"])
    assert accepted(post(api, app_headers, body)) == {**first, "is_acknowledged": True}
    assert len(events_of(api.settings, first["check_in_id"])) == 1


@pytest.mark.parametrize("with_key", [False, True])
def test_a_repeat_of_a_deleted_request_gets_its_own_content_not_that_of_a_correction(
    api: Api, app_headers: dict[str, str], with_key: bool
) -> None:
    body, key = {"key_result_id": "rtl", "value": 1.5, "check_in_id": word()}, word() if with_key else None
    first = accepted(post(api, app_headers, body))
    accepted(put(api, app_headers, first["check_in_id"], {"value": 2.5, "note": "typing error"}))
    forget(api, first["check_in_id"])
    for _ in range(2):
        assert accepted(post(api, app_headers, body, key)) == {**first, "is_acknowledged": True}
        other = post(api, app_headers, {**body, "value": 2.5, "note": "typing error"}, key)
        assert other.status_code == 409, other.text
        assert other.json()["differs"] == [
            {"field": "value", "first": 1.5, "now": 2.5},
            {"field": "note", "first": None, "now": "typing error"},
        ]


@pytest.mark.parametrize("recorded_first", [True, False])
def test_a_key_sent_concurrently_with_two_check_ins_belongs_to_the_first(
    api: Api, app_headers: dict[str, str], monkeypatch: pytest.MonkeyPatch, recorded_first: bool
) -> None:
    """One request records a check-in, the other repeats another; both find the key unused, and one wins."""
    repeated = {"key_result_id": "rtl", "value": 1.5, "check_in_id": word()}
    accepted(post(api, app_headers, repeated))
    new, key = {**repeated, "check_in_id": word()}, word()
    slow, quick = (repeated, new) if recorded_first else (new, repeated)
    insert, quick_answers = RequestStore.insert, []

    def insert_late(self: RequestStore, *asked: Any) -> StoredRequest | None:
        if asked[2].check_in_id == slow["check_in_id"] and not quick_answers:
            quick_answers.append(None)
            with httpx.Client(base_url=api.client.base_url, timeout=60) as client:
                quick_answers[0] = post(Api(client, api.services, api.settings), app_headers, quick, key)
        return insert(self, *asked)

    monkeypatch.setattr(RequestStore, "insert", insert_late)
    late = post(api, app_headers, slow, key)
    assert accepted(quick_answers[0])["check_in_id"] == quick["check_in_id"]
    assert late.status_code == 409, late.text
    assert [each["field"] for each in late.json()["differs"]] == ["check_in_id"]
    assert post(api, app_headers, slow, key).status_code == 409
    assert accepted(post(api, app_headers, quick, key))["check_in_id"] == quick["check_in_id"]
