"""/admin/quarantine: the functions of `okr quarantine`."""

from uuid import UUID

from lakehouse.warehouse import connect
from tests.serving.admin.conftest import FLAGGED
from tests.serving.admin.operators import OperatorClient


def test_quarantined_events_are_listed_withheld_first_page_by_page(operator: OperatorClient) -> None:
    listed = operator.pages("/quarantine", "events", limit=2)
    assert [(each["event_id"], each["is_withheld"]) for each in listed] == [
        (str(FLAGGED[offset]), offset % 2 == 0) for offset in (0, 2, 4, 1, 3)
    ]
    assert operator.pages("/quarantine", "events", withheld="true") == listed[:3]


def test_a_decision_is_recorded_with_the_operators_name_and_can_be_repeated(operator: OperatorClient) -> None:
    ids = [str(FLAGGED[0]), str(FLAGGED[0]), str(FLAGGED[2])]
    for _ in range(2):
        decided = operator.post("/quarantine/release", {"event_ids": ids, "reason": "checked"})
        assert decided["event_ids"] == [ids[0], ids[2]]
    with connect(operator.api.settings.require("dsn_serving")) as connection:
        kept = connection.execute(
            "SELECT event_id, decision, note, decided_by FROM ops.event_review WHERE event_id = ANY(%s) ORDER BY 1",
            ([FLAGGED[0], FLAGGED[2]],),
        ).fetchall()
    assert kept == [(each, "release", "checked", "admin") for each in (FLAGGED[0], FLAGGED[2])]


def test_a_decision_that_names_an_unknown_event_changes_nothing(operator: OperatorClient) -> None:
    ids = [str(FLAGGED[4]), str(UUID(int=77))]
    problem = operator.post("/quarantine/withhold", {"event_ids": ids}, status=409)
    assert problem["type"] == "urn:okr:problem:not-possible"
    assert ids[1] in problem["detail"]
    pending = operator.get("/quarantine")["pending"]
    assert ids[0] not in {each["event_id"] for each in pending}


def test_invalid_decisions_are_rejected(operator: OperatorClient) -> None:
    for body in (
        {"event_ids": []},
        {"event_ids": ["1"]},
        {"event_ids": str(FLAGGED[0])},
        {"event_ids": [str(FLAGGED[0])], "decision": "withhold"},
        {"event_ids": [str(FLAGGED[0])] * 1_001},
        {"event_ids": [str(FLAGGED[0])], "reason": "\x00"},
    ):
        assert operator.post("/quarantine/release", body, status=422)["errors"]
