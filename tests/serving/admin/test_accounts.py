"""/admin/accounts and /admin/audit-log."""

from tests.serving.admin.operators import OperatorClient


def test_an_account_is_disabled_and_enabled_and_both_are_audited(operator: OperatorClient) -> None:
    names = [each["username"] for each in operator.pages("/accounts", "accounts", limit=1)]
    assert names == sorted(names)
    assert {"admin", "app", "lead"} <= set(names)
    lead = operator.api.headers("lead")
    assert operator.post("/accounts/lead/disable")["disabled_at"] is not None
    assert operator.api.client.get("/models", headers=lead).status_code == 401
    enabled = operator.post("/accounts/lead/enable")
    assert enabled["disabled_at"] is None
    assert operator.get("/accounts/lead") == enabled
    [newest, before] = operator.get("/audit-log", subject="lead", limit=2)["audit_events"]
    assert [each["action"] for each in (newest, before)] == ["account.enabled", "account.disabled"]
    assert newest["actor"] == "admin"


def test_the_audit_log_is_listed_newest_first_page_by_page(operator: OperatorClient) -> None:
    ids = [each["event_id"] for each in operator.pages("/audit-log", "audit_events", limit=5)]
    assert ids == list(range(ids[0], 0, -1))


def test_the_last_administrator_cannot_be_disabled(operator: OperatorClient) -> None:
    operator.post("/accounts/admin/disable", status=422)
    operator.post("/accounts/nobody/disable", status=404)
    assert operator.get("/accounts/admin")["disabled_at"] is None
