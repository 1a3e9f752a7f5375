"""/admin/publications: the functions of `okr publication`."""

import base64

from tests.lakehouse.marts import publish_with
from tests.serving.admin.conftest import REVIEWED
from tests.serving.admin.operators import OperatorClient


def test_publications_are_listed_newest_first_page_by_page(operator: OperatorClient) -> None:
    listed = operator.pages("/publications", "publications", limit=1)
    ids = [each["publication_id"] for each in listed]
    assert ids == sorted(ids, reverse=True)
    assert len(ids) >= 3
    assert listed[0]["rows"]["one"] == 1
    assert [each for each in listed if each["is_current"]] == [operator.get("/publications/current")["publication"]]


def test_a_cursor_of_another_list_is_rejected(operator: OperatorClient) -> None:
    cursor = operator.get("/gate-results", limit=1)["next_cursor"]
    problem = operator.get("/publications", status=422, cursor=cursor)
    assert problem["reason"] == "unknown_cursor"
    keys = ('{"publication_id":1e30}', '{"publication_id":9223372036854775808}', '{"publication_id":"1"}', "{", "")
    forged = [f'["/admin/publications",{key}]' for key in keys]
    for cursor in ("AAAA", "é", *(base64.urlsafe_b64encode(text.encode()).decode() for text in forged)):
        assert operator.get("/publications", status=422, cursor=cursor)["reason"] == "unknown_cursor"


def test_a_rollback_and_its_repeat_answer_what_changed_and_hold_publications(operator: OperatorClient) -> None:
    settings = operator.api.settings
    older = operator.get("/publications/current")["publication"]["publication_id"]
    newest = publish_with(settings, 9, REVIEWED).publication_id
    first = operator.post("/publications/rollback", {"current_publication_id": newest})
    assert (first["rolled_back"], first["is_changed"], first["current"]["publication_id"]) == (newest, True, older)
    again = operator.post("/publications/rollback", {"current_publication_id": newest})
    assert again == {**first, "is_changed": False}
    [hold] = operator.get("/publications/current")["holds"]
    assert (hold["kind"], hold["publication_id"]) == ("rollback", newest)

    problem = operator.post("/publications/rollback", {"current_publication_id": older - 1}, status=409)
    assert problem["type"] == "urn:okr:problem:not-possible"
    assert f"Publication {older} is current, not {older - 1}." in problem["detail"]

    recorded = operator.audited("publication.rolled_back")
    assert [(each["subject"], each["outcome"]) for each in recorded] == [
        (str(newest), "success"), (str(newest), "success"), (str(older - 1), "failure"),
    ]  # fmt: skip
    assert [each["details"].get("is_changed") for each in recorded] == [True, False, None]
    assert {(each["actor"], each["address"]) for each in recorded} == {("admin", "127.0.0.1")}

    assert operator.post("/publications/resume") == {"is_changed": True, "dropped": [newest]}
    assert operator.post("/publications/resume") == {"is_changed": False, "dropped": []}
    assert operator.get("/publications/current")["holds"] == []


def test_a_rollback_that_names_no_publication_is_rejected(operator: OperatorClient) -> None:
    for body in (
        {},
        {"current_publication_id": "3"},
        {"current_publication_id": True},
        {"current_publication_id": 3, "force": True},
        {"current_publication_id": 0},
        None,
    ):
        assert operator.post("/publications/rollback", body, status=422)["errors"]
