"""An account changes only what belongs to its organisation and teams; everything else does not exist for it."""

from typing import Any

import pytest

from lakehouse.errors import ContractViolation, OkrError
from serving.auth.roles import RIGHTS, Identity, Role
from serving.errors import NotAllowed, NotFound, UnknownName
from serving.writes.items import Item
from serving.writes.operations import BY_EVENT_TYPE, COMMENT, KEY_RESULT, OBJECTIVE, TEAM, USER
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


def test_a_restricted_account_may_not_name_what_is_not_defined_yet(api: Api, ours: str) -> None:
    write_request = WriteRequest("test", {}, None, allow_unknown=True)
    with pytest.raises(NotAllowed):
        api.services.writes.submit(write_request, [], account(ours, Role.SERVICE))
