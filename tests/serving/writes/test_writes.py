"""Writes are accepted as events, once, all or none, and never overwrite a version that the caller has not seen."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ingestion.contract_validation import decode
from ingestion.maintenance.expired_requests import delete_expired_requests
from lakehouse.warehouse import connect
from serving.writes import examples
from serving.writes.operations import BY_EVENT_TYPE, DEFINITIONS, ENDINGS
from tests.serving.check_in_requests import TOPIC, read_state
from tests.serving.live_server import Api
from tests.serving.topic_reader import read_until
from tests.serving.writes.definitions import accepted, new_organisation, word, write


@pytest.fixture(scope="module")
def suffix(running_api: Api) -> str:
    """The suffix of the ids of an organisation that exists."""
    suffix = word("org")
    accepted(write(running_api, running_api.headers(), new_organisation(suffix)))
    return suffix


def test_an_accepted_event_is_in_the_log_under_its_id(api: Api, app_headers: dict[str, str], suffix: str) -> None:
    body = {"key_result_id": f"kr-{suffix}", "user_id": f"user-{suffix}", "text": word()}
    answer = api.client.post("/v1/comments", json=body, headers=app_headers)
    event = accepted(answer)
    assert (event["event_type"], event["is_acknowledged"]) == ("okr.comment.posted.v1", True)
    assert answer.headers["location"] == event["status_url"]
    found = read_until(api.settings, TOPIC, lambda value: event["event_id"].encode() in value)
    decoded = decode(TOPIC, found.value, found.key)
    assert (str(decoded.envelope.id), decoded.envelope.source) == (event["event_id"], "okr-api/app")
    assert decoded.payload.text == body["text"]
    assert decoded.payload.comment_id == event["entity_id"], "an id is generated"
    status = api.client.get(event["status_url"], headers=app_headers).json()
    assert (status["status"], status["operation"]) == ("accepted", "POST /v1/comments")


def test_the_status_of_an_event_is_for_its_account(api: Api, app_headers: dict[str, str], suffix: str) -> None:
    body = {"key_result_id": f"kr-{suffix}", "user_id": f"user-{suffix}", "text": "t"}
    url = accepted(api.client.post("/v1/comments", json=body, headers=app_headers))["status_url"]
    assert api.client.get(url, headers=api.headers("admin")).status_code == 200
    assert api.client.get(url, headers=api.headers("lead")).status_code == 404
    assert api.client.get("/v1/events/00000000-0000-7000-8000-000000000000", headers=app_headers).status_code == 404
    check_in = api.client.post("/v1/check-ins", json={"key_result_id": "rtl", "value": 1.0}, headers=app_headers)
    found = api.client.get(f"/v1/events/{check_in.json()['event_id']}", headers=app_headers).json()
    assert (found["operation"], found["entity_id"]) == ("POST /v1/check-ins", check_in.json()["check_in_id"])


@pytest.mark.parametrize("written", DEFINITIONS, ids=lambda each: each.collection)
def test_a_definition_is_created_read_and_replaced(
    api: Api, app_headers: dict[str, str], suffix: str, written: Any
) -> None:
    data = next(each["data"] for each in new_organisation(suffix) if each["type"] == written.event_type)
    entity_id = word(written.collection)
    body = {**data, written.id_field: entity_id}
    if "email" in body:
        body["email"] = f"{entity_id}@example.com"
    created = api.client.post(f"/v1/{written.collection}", json=body, headers=app_headers)
    first = accepted(created)["etag"]
    path = f"/v1/{written.collection}/{entity_id}"
    read = api.client.get(f"{path}/definition", headers=app_headers)
    assert (read.json()["data"], read.headers["etag"]) == (body, first)
    again = api.client.post(f"/v1/{written.collection}", json=body, headers=app_headers)
    assert (again.status_code, again.json()["type"]) == (409, "urn:okr:problem:already-defined")
    assert again.json()["current"]["data"] == body
    label = "title" if "title" in body else "name"
    changed = {name: value for name, value in body.items() if name != written.id_field} | {label: "Other"}
    assert api.client.put(path, json=changed, headers=app_headers).status_code == 428
    replaced = api.client.put(path, json=changed, headers={**app_headers, "If-Match": first})
    assert accepted(replaced)["etag"] != first
    late = api.client.put(path, json=changed, headers={**app_headers, "If-Match": first})
    assert (late.status_code, late.json()["current"]["etag"]) == (412, replaced.json()["etag"])
    assert late.json()["current"]["data"][label] == "Other"
    accepted(api.client.put(path, json=changed, headers={**app_headers, "If-Match": "*"}))
    other = api.client.put(path, json=body | {written.id_field: "x"}, headers={**app_headers, "If-Match": "*"})
    assert (other.status_code, other.json()["errors"][0]["pointer"]) == (422, f"#/{written.id_field}")
    missing = api.client.put(f"/v1/{written.collection}/nobody", json=changed, headers={**app_headers, "If-Match": "*"})
    assert missing.status_code == 404


def test_of_concurrent_replacements_of_one_version_one_wins(api: Api, app_headers: dict[str, str], suffix: str) -> None:
    """No update is lost: a caller that has not seen the newest version is told so, and can merge."""
    body = {"organisation_id": f"org-{suffix}", "name": "0"}
    created = accepted(api.client.post("/v1/teams", json=body, headers=app_headers))
    path, etag = f"/v1/teams/{created['entity_id']}", created["etag"]

    def add_one(_: int) -> int:
        """Increase the number in the name, as an app would, until the change is accepted."""
        tries = 0
        while True:
            tries += 1
            read = api.client.get(f"{path}/definition", headers=app_headers)
            changed = {**body, "name": str(int(read.json()["data"]["name"]) + 1)}
            answer = api.client.put(path, json=changed, headers={**app_headers, "If-Match": read.headers["etag"]})
            if answer.status_code == 202:
                return tries
            assert answer.status_code == 412, answer.text

    with ThreadPoolExecutor(6) as pool:
        tries = list(pool.map(add_one, range(12)))
    newest = api.client.get(f"{path}/definition", headers=app_headers)
    assert newest.json()["data"]["name"] == "12"
    assert newest.headers["etag"] != etag
    assert sum(tries) >= 12


def test_a_repeated_request_gets_the_first_response_and_another_one_is_a_conflict(
    api: Api, app_headers: dict[str, str], suffix: str
) -> None:
    body, key = {"organisation_id": f"org-{suffix}", "name": "Repeated"}, word()
    headers = {**app_headers, "Idempotency-Key": key}
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: api.client.post("/v1/teams", json=body, headers=headers), range(4)))
    assert len({accepted(answer)["event_id"] for answer in answers}) == 1
    assert sorted(answer.headers.get("idempotent-replayed", "") for answer in answers) == ["", "true", "true", "true"]
    other = api.client.post("/v1/teams", json={**body, "name": "Another"}, headers=headers)
    assert (other.status_code, other.json()["differs"][0]["field"]) == (409, "body")
    assert write(api, headers, [{"type": "okr.team.defined.v1", "data": body}]).status_code == 409


def test_many_events_are_accepted_together_or_not_at_all(api: Api, app_headers: dict[str, str], suffix: str) -> None:
    events = new_organisation(word())
    wrong = [*events[:3], {"type": "okr.objective.defined.v1", "data": {**events[3]["data"], "team_id": "nobody"}}]
    answer = write(api, app_headers, wrong)
    assert (answer.status_code, answer.json()["pointer"]) == (422, "#/events/3/data/team_id")
    team = f"/v1/teams/{events[0]['data']['team_id']}/definition"
    assert api.client.get(team, headers=app_headers).status_code == 404, "nothing of it was accepted"
    bodies = [
        {"type": "okr.team.defind.v1", "data": {}},
        {"type": "okr.check_in.recorded.v1", "data": {"key_result_id": "k", "value": "3", "is_finl": True}},
        {"type": "okr.team.archived.v1", "data": {}},
    ]
    invalid = write(api, app_headers, bodies).json()
    assert [each["pointer"] for each in invalid["errors"]] == [
        "#/events/0/type", "#/events/1/data/value", "#/events/1/data/is_finl", "#/events/2/data/team_id",
    ]  # fmt: skip
    assert "Did you mean okr.team.defined.v1?" in invalid["errors"][0]["detail"]
    too_many = write(api, app_headers, [{"type": "t", "data": {}}] * 501)
    assert too_many.status_code == 422
    accepted(write(api, app_headers, events))
    check_in = {"type": events[5]["type"], "data": {**events[5]["data"], "check_in_id": word()}}
    for again in ([events[5]], [events[6]], [check_in, check_in]):
        twice = write(api, app_headers, again)
        assert (twice.status_code, "already recorded" in twice.json()["detail"]) == (409, True)


def test_rules_of_several_fields_are_those_of_the_contract(api: Api, app_headers: dict[str, str], suffix: str) -> None:
    body = {"objective_id": f"obj-{suffix}", "title": "t", "unit": "u", "baseline": 2.0, "target": 1.0,
            "direction": "increase"}  # fmt: skip
    answer = api.client.post("/v1/key-results", json=body, headers=app_headers)
    assert (answer.status_code, answer.json()["reason"]) == (422, "bad_data")
    assert "direction increase contradicts baseline 2.0 and target 1.0" in answer.json()["detail"]


@pytest.mark.parametrize("ending", ENDINGS, ids=lambda each: f"{each.collection}-{each.verb}")
def test_an_ending_needs_an_entity(api: Api, app_headers: dict[str, str], suffix: str, ending: Any) -> None:
    unknown = api.client.post(f"/v1/{ending.collection}/nobody/{ending.verb}", json={}, headers=app_headers)
    assert unknown.status_code == 404, unknown.text
    entity_id = next(each["data"][ending.id_field] for each in new_organisation(suffix) if each["type"] == ending.ends)
    accepted(api.client.post(f"/v1/{ending.collection}/{entity_id}/{ending.verb}", json={}, headers=app_headers))


def test_an_unknown_name_is_an_error_that_suggests_similar_ones_unless_it_is_allowed(
    api: Api, app_headers: dict[str, str], suffix: str
) -> None:
    body = {"key_result_id": "markupp", "user_id": f"user-{suffix}", "text": "t"}
    answer = api.client.post("/v1/comments", json=body, headers=app_headers)
    assert (answer.status_code, answer.json()["pointer"]) == (422, "#/key_result_id")
    assert answer.json()["similar"] == ["markup"]
    accepted(api.client.post("/v1/comments?allow_unknown=true", json=body, headers=app_headers))


def test_every_example_can_be_sent() -> None:
    assert set(examples.EXAMPLES) == set(BY_EVENT_TYPE)
    assert {each["type"] for each in examples.BULK["events"]} <= set(BY_EVENT_TYPE)


def test_a_lead_without_teams_may_define_nothing(api: Api, suffix: str) -> None:
    headers = api.headers("lead")
    body = {"objective_id": f"obj-{suffix}", "title": "t", "unit": "u", "baseline": 1.0, "target": 2.0,
            "direction": "increase"}  # fmt: skip
    answer = api.client.post("/v1/key-results", json=body, headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (403, "urn:okr:problem:not-allowed")


def test_a_request_is_deleted_after_the_retention_but_not_before_the_state_tables_have_its_events(
    api: Api, app_headers: dict[str, str], suffix: str
) -> None:
    body = {"organisation_id": f"org-{suffix}", "name": "Old"}
    event = accepted(api.client.post("/v1/teams", json=body, headers=app_headers))
    with connect(api.settings.require("dsn_owner"), autocommit=True) as connection:
        connection.execute(
            "UPDATE serving.write_request SET received_at = now() - interval '91 days' WHERE request_id = "
            "(SELECT request_id FROM serving.written_event WHERE event_id = %s)",
            [event["event_id"]],
        )
    delete_expired_requests(api.settings)
    assert api.client.get(event["status_url"], headers=app_headers).status_code == 200
    read_state(api.settings)
    delete_expired_requests(api.settings)
    assert api.client.get(event["status_url"], headers=app_headers).status_code == 404
    newest = api.client.get(f"/v1/teams/{event['entity_id']}/definition", headers=app_headers)
    assert newest.headers["etag"] == event["etag"], "the log has the version"


def test_a_version_whose_process_died_before_it_was_persisted_is_not_lost(
    api: Api, app_headers: dict[str, str], suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The version counts, so whoever replaces it sends its event first."""
    body = {"organisation_id": f"org-{suffix}", "name": "First"}
    created = accepted(api.client.post("/v1/teams", json=body, headers=app_headers))
    path = f"/v1/teams/{created['entity_id']}"

    def die(*_: object) -> bool:
        raise RuntimeError("the process died")

    with monkeypatch.context() as patch:
        patch.setattr(type(api.services.write_sender), "deliver_all", die)
        died = api.client.put(path, json={**body, "name": "Second"}, headers={**app_headers, "If-Match": "*"})
    assert died.status_code == 500
    with connect(api.settings.require("dsn_owner"), autocommit=True) as connection:
        connection.execute("UPDATE serving.write_request SET received_at = now() - interval '1 minute'")
    late = api.client.put(path, json=body, headers={**app_headers, "If-Match": created["etag"]})
    assert (late.status_code, late.json()["current"]["data"]["name"]) == (412, "Second")
    event_id = late.json()["current"]["etag"].strip('"')
    read_until(api.settings, TOPIC, lambda value: event_id.encode() in value)
