"""An account can change only what belongs to its organisation and teams; for it, nothing else exists."""

from dataclasses import replace
from typing import Any

import pytest

from lakehouse.errors import ContractViolation, OkrError
from serving.auth.roles import RIGHTS, Identity, Role
from serving.errors import NotAllowed, NotFound, NotPersisted, UnknownName, VersionMismatch
from serving.writes.items import Item
from serving.writes.operations import BY_EVENT_TYPE, CHECK_IN, COMMENT, CYCLE, KEY_RESULT, OBJECTIVE, TEAM, USER
from serving.writes.service import Accepted, WriteRequest
from tests.serving.live_server import Api
from tests.serving.writes.definitions import accepted, new_organisation, word, write


@pytest.fixture(scope="module")
def ours(running_api: Api) -> str:
    return organisation(running_api)


@pytest.fixture(scope="module")
def theirs(running_api: Api) -> str:
    return organisation(running_api)


def organisation(api: Api) -> str:
    suffix = word("org")
    accepted(write(api, api.headers(), new_organisation(suffix)))
    return suffix


def account(suffix: str, role: Role, *led: str, user: str | None = None) -> Identity:
    return Identity(
        "test", role, organisation_id=f"org-{suffix}", user_id=user, team_ids=led, rights=RIGHTS[role],
        plan="standard", credential="token:test",
    )  # fmt: skip


def submit(
    api: Api, identity: Identity, event_type: str, data: dict[str, Any], if_match: str | None = None
) -> Accepted:
    written = BY_EVENT_TYPE[event_type]
    entity_id = data.get(written.id_field) or word()
    item = Item(written, entity_id, {**data, written.id_field: entity_id}, "#", if_match)
    return api.services.writes.submit(WriteRequest("test", {}, None), [item], identity)


def key_result(suffix: str) -> dict[str, Any]:
    return {"objective_id": f"obj-{suffix}", "title": "t", "unit": "u", "baseline": 0.0, "target": 1.0,
            "direction": "increase"}  # fmt: skip


def test_each_role_writes_what_is_its_own(api: Api, ours: str) -> None:
    team, user = f"team-{ours}", f"user-{ours}"
    assert submit(api, account(ours, Role.SERVICE), KEY_RESULT, key_result(ours)).events
    assert submit(api, account(ours, Role.LEAD, team), KEY_RESULT, key_result(ours)).events
    comment = {"key_result_id": f"kr-{ours}", "user_id": user, "text": "t"}
    assert submit(api, account(ours, Role.MEMBER, user=user), COMMENT, comment).events, "its user is of the team"


def refused(ours: str, theirs: str) -> list[tuple[str, Identity, str, dict[str, Any], str | None, type[OkrError]]]:
    service, user = account(ours, Role.SERVICE), f"user-{ours}"
    lead, member = account(ours, Role.LEAD, "another-team"), account(ours, Role.MEMBER, user=user)
    comment = {"key_result_id": f"kr-{theirs}", "user_id": user, "text": "t"}
    moved = {"team_id": f"team-{theirs}", "organisation_id": f"org-{ours}", "name": "Stolen"}
    person = {"name": "n", "email": "n@example.com"}
    return [
        ("a key result of another organisation", service, COMMENT, comment, None, UnknownName),
        ("an objective of another organisation", service, KEY_RESULT, key_result(theirs), None, UnknownName),
        ("a team for another organisation", service, TEAM, {**moved, "team_id": word(), "organisation_id": "x"}, None,
         UnknownName),
        ("the id of another organisation's team", service, TEAM, moved, "*", NotAllowed),
        ("a user of another organisation's team", service, USER, {**person, "team_id": f"team-{theirs}"}, None,
         UnknownName),
        ("a user of no organisation", service, USER, person, None, ContractViolation),
        ("the end of another organisation's objective", service, "okr.objective.archived.v1",
         {"objective_id": f"obj-{theirs}"}, None, NotFound),
        ("a key result of a team that it does not lead", lead, KEY_RESULT, key_result(ours), None, NotAllowed),
        ("a new team", lead, TEAM, {"organisation_id": f"org-{ours}", "name": "n"}, None, NotAllowed),
        ("a comment in another's name", member, COMMENT,
         {"key_result_id": f"kr-{ours}", "user_id": f"user-{theirs}", "text": "t"}, None, OkrError),
        ("a reply to another organisation's comment", service, COMMENT,
         {"key_result_id": f"kr-{ours}", "user_id": user, "text": "t", "reply_to_comment_id": f"co-{theirs}"}, None,
         UnknownName),
        ("a reply to no comment", service, COMMENT,
         {"key_result_id": f"kr-{ours}", "user_id": user, "text": "t", "reply_to_comment_id": "co"}, None, UnknownName),
        ("an objective for another team", member, OBJECTIVE,
         {"team_id": f"team-{theirs}", "cycle_id": f"cycle-{ours}", "title": "t"}, None, UnknownName),
    ]  # fmt: skip


def test_nothing_of_another_team_or_organisation_is_written(api: Api, ours: str, theirs: str) -> None:
    for name, identity, event_type, data, if_match, error in refused(ours, theirs):
        with pytest.raises(error) as raised:
            submit(api, identity, event_type, data, if_match)
        assert f"org-{theirs}" not in str(raised.value), name
        assert not getattr(raised.value, "similar", None) or all(theirs not in each for each in raised.value.similar), (
            name
        )


def visits(ours: str, other_team: str) -> list[tuple[str, list[tuple[str, dict[str, Any], str | None]]]]:
    """Return requests of a lead whose first and last versions belong to its team, but not those in between."""
    their_objective, objective, kr = f"obj-{other_team}", word("obj"), word("kr")
    own_kr = {**key_result(ours), "key_result_id": kr}
    their_kr = {**own_kr, "objective_id": their_objective}
    own = {"objective_id": objective, "team_id": f"team-{ours}", "cycle_id": f"cycle-{ours}", "title": "t"}
    their = {**own, "team_id": other_team}
    check_in = {"check_in_id": word("ci"), "key_result_id": kr, "value": 0.0, "is_final": True}
    return [
        ("a key result that starts in the other team",
         [(KEY_RESULT, their_kr, None), (CHECK_IN, check_in, None), (KEY_RESULT, own_kr, "*")]),
        ("a key result that passes through the other team",
         [(KEY_RESULT, own_kr, None), (KEY_RESULT, their_kr, "*"), (CHECK_IN, check_in, None),
          (KEY_RESULT, own_kr, "*")]),
        ("an objective that starts in the other team", [(OBJECTIVE, their, None), (OBJECTIVE, own, "*")]),
        ("an objective that passes through it with its key results",
         [(OBJECTIVE, own, None), (KEY_RESULT, {**own_kr, "objective_id": objective}, None), (OBJECTIVE, their, "*"),
          (CHECK_IN, check_in, None), (OBJECTIVE, own, "*")]),
    ]  # fmt: skip


def test_no_version_of_a_request_may_belong_to_a_team_that_the_caller_does_not_lead(api: Api, ours: str) -> None:
    service, lead, other_team = account(ours, Role.SERVICE), account(ours, Role.LEAD, f"team-{ours}"), word("team")
    submit(api, service, TEAM, {"team_id": other_team, "organisation_id": f"org-{ours}", "name": "Other"})
    other_objective = {"objective_id": f"obj-{other_team}", "team_id": other_team, "cycle_id": f"cycle-{ours}"}
    submit(api, service, OBJECTIVE, {**other_objective, "title": "t"})
    for name, events in visits(ours, other_team):
        items = [
            Item(BY_EVENT_TYPE[kind], data.get(BY_EVENT_TYPE[kind].id_field) or word(), data, f"#/events/{n}", if_match)
            for n, (kind, data, if_match) in enumerate(events)
        ]
        with pytest.raises(NotAllowed, match="its teams"):
            api.services.writes.submit(WriteRequest(name, {}, None), items, lead)


def test_an_event_may_refer_to_what_a_later_event_of_the_request_defines(api: Api, ours: str) -> None:
    events = [event for event in new_organisation(word("org")) if event["type"] in {KEY_RESULT, OBJECTIVE}]
    for event in events:
        event["data"] |= {"team_id": f"team-{ours}", "cycle_id": f"cycle-{ours}"} if event["type"] == OBJECTIVE else {}
        event["data"].pop("owner_user_id", None)
    items = [
        Item(written := BY_EVENT_TYPE[each["type"]], each["data"][written.id_field], each["data"], "#")
        for each in reversed(events)
    ]
    lead = account(ours, Role.LEAD, f"team-{ours}")
    assert api.services.writes.submit(WriteRequest("test", {}, None), items, lead).events


def test_a_comment_of_the_organisation_can_be_replied_to(api: Api, ours: str) -> None:
    reply = {"key_result_id": f"kr-{ours}", "user_id": f"user-{ours}", "text": "t", "reply_to_comment_id": f"co-{ours}"}
    assert submit(api, account(ours, Role.SERVICE), COMMENT, reply).events


def test_an_entity_that_another_organisation_defines_during_the_request_is_neither_replaced_nor_shown(
    api: Api, ours: str, theirs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rights are checked before the lock of the entity is taken, so what is under the lock may be another's."""
    person = {"name": "n", "email": "secret@example.com"}
    writes = api.services.writes
    transaction, insert = writes._store.transaction, api.client.post

    for if_match in ("*", None):
        user_id = word("user")
        theirs_first = {**person, "user_id": user_id, "team_id": f"team-{theirs}"}

        def late(data: dict[str, Any] = theirs_first) -> Any:
            monkeypatch.setattr(writes._store, "transaction", transaction)
            assert insert("/v1/users", json=data, headers=api.headers()).status_code == 202
            return transaction()

        monkeypatch.setattr(writes._store, "transaction", late)
        mine = {**person, "user_id": user_id, "team_id": f"team-{ours}"}
        with pytest.raises(NotAllowed, match="cannot be used") as raised:
            submit(api, account(ours, Role.SERVICE), USER, mine, if_match)
        assert "secret" not in str(raised.value)
        stored = api.client.get(f"/v1/users/{user_id}/definition", headers=api.headers()).json()
        assert stored["data"]["team_id"] == f"team-{theirs}"


def not_persisted(
    api: Api, identity: Identity, asked: WriteRequest, item: Item, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Submit a request that is stored, but whose events cannot be written to disk."""

    def full(_self: object, _events: object) -> bool:
        raise NotPersisted("The spool is full.")

    with monkeypatch.context() as patch:
        patch.setattr(type(api.services.write_sender), "deliver_all", full)
        with pytest.raises(NotPersisted):
            api.services.writes.submit(asked, [item], identity)


def test_a_repeat_of_what_was_not_persisted_needs_the_rights_of_now(
    api: Api, ours: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, item = WriteRequest("test", {}, word()), Item(BY_EVENT_TYPE[KEY_RESULT], word(), key_result(ours), "#")
    item = replace(item, data={**item.data, "key_result_id": item.entity_id})
    not_persisted(api, account(ours, Role.SERVICE), asked, item, monkeypatch)
    with pytest.raises(NotAllowed):
        api.services.writes.submit(asked, [item], account(ours, Role.MEMBER))
    again = replace(item, entity_id=(other := word()), data={**item.data, "key_result_id": other})
    first = api.services.writes.submit(asked, [again], account(ours, Role.SERVICE))
    assert (first.is_repeat, first.events[0].entity_id) == (True, item.entity_id), "an id that was generated at first"
    assert api.services.writes.submit(asked, [again], account(ours, Role.SERVICE)) == first


def test_a_repeat_of_what_was_not_persisted_does_not_undo_another_version(
    api: Api, ours: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    service, team = account(ours, Role.SERVICE), word("team")
    data = {"team_id": team, "organisation_id": f"org-{ours}", "name": "1"}
    first = submit(api, service, TEAM, data).events[0].event_id
    asked = WriteRequest("test", {}, word())
    item = Item(BY_EVENT_TYPE[TEAM], team, {**data, "name": "2"}, "#", str(first))
    not_persisted(api, service, asked, item, monkeypatch)
    submit(api, service, TEAM, {**data, "name": "3"}, str(first))
    with pytest.raises(VersionMismatch):
        api.services.writes.submit(asked, [item], service)


def test_a_restricted_account_may_not_name_what_is_not_defined_yet(api: Api, ours: str) -> None:
    write_request = WriteRequest("test", {}, None, allow_unknown=True)
    with pytest.raises(NotAllowed):
        api.services.writes.submit(write_request, [], account(ours, Role.SERVICE))


def test_a_lead_reads_the_email_addresses_of_the_users_of_its_teams_only(api: Api, ours: str, theirs: str) -> None:
    current, user = api.services.writes.current, (USER, f"user-{ours}")
    readers = [account(ours, Role.SERVICE), account(ours, Role.ADMIN), account(ours, Role.LEAD, f"team-{ours}")]
    readers.append(account(ours, Role.LEAD, user=f"user-{ours}"))
    for reader in readers:
        version = current(user, reader)
        assert version is not None
        assert version.data["email"] == f"{ours}@example.com"
    other = account(ours, Role.LEAD, "another-team")
    with pytest.raises(NotAllowed, match="e-mail"):
        current(user, other)
    assert current((TEAM, f"team-{ours}"), other), "it contains nothing personal"
    assert current((USER, f"user-{theirs}"), other) is None, "of another organisation: as if it did not exist"


def test_a_lead_is_told_that_it_cannot_define_cycles_and_new_teams(api: Api, ours: str) -> None:
    lead, org = account(ours, Role.LEAD, f"team-{ours}"), f"org-{ours}"
    cycle = {"organisation_id": org, "name": "n", "starts_on": "2026-10-01", "ends_on": "2026-12-31"}
    for event_type, data, message in (
        (CYCLE, cycle, "Cycles belong to the whole organisation"),
        ("okr.cycle.closed.v1", {"cycle_id": f"cycle-{ours}"}, "Cycles belong to the whole organisation"),
        (TEAM, {"organisation_id": org, "name": "n"}, "Only admins and services may define new teams"),
    ):
        with pytest.raises(NotAllowed, match=message):
            submit(api, lead, event_type, data)
    assert submit(api, lead, TEAM, {"team_id": f"team-{ours}", "organisation_id": org, "name": "Sales"}, "*").events
