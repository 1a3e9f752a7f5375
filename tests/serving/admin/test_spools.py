"""/admin/spools and /admin/prediction-log: the functions of `okr produce spool`."""

import base64
from contextlib import closing

from ingestion.contract_validation import EncodedEvent
from ingestion.spool.store import Spool
from tests.serving.admin.operators import OperatorClient

EVENT = EncodedEvent("okr_user_events", b"key", b"{}")


def test_rejected_events_of_a_spool_are_shown_and_requeued(operator: OperatorClient) -> None:
    with closing(Spool.of(operator.api.settings, "source-of-a-test")) as spool:
        first, second = spool.append([EVENT, EVENT])
        spool.settle([], {second: "too large"})
    states = {each["source"]: each for each in operator.get("/spools")["spools"]}
    assert (states["source-of-a-test"]["waiting"], states["source-of-a-test"]["rejected"]) == (1, 1)
    [rejected] = operator.get("/spools/source-of-a-test/rejected")["rejected_events"]
    assert (rejected["position"], rejected["reason"]) == (second, "too large")
    assert base64.b64decode(rejected["value"]) == EVENT.value
    assert operator.post("/spools/source-of-a-test/requeue")["requeued"] == 1
    assert operator.post("/spools/source-of-a-test/requeue")["requeued"] == 0
    with closing(Spool.of(operator.api.settings, "source-of-a-test")) as spool:
        assert [each.position for each in spool.oldest(10)] == [first, second]


def test_an_unknown_spool_is_not_found_and_not_created(operator: OperatorClient) -> None:
    operator.post("/spools/source-of-a-tset/requeue", status=404)
    operator.get("/spools/..%2F..%2Fetc/rejected", status=404)
    operator.get("/spools/..x/rejected", status=422)
    assert not (operator.api.settings.spool_dir / "source-of-a-tset.spool").exists()


def test_the_state_of_the_prediction_log_is_shown(operator: OperatorClient) -> None:
    shown = operator.get("/prediction-log")
    assert shown["not_persisted"] == 0
    assert 0 <= shown["fill_ratio"] < 1
