"""/admin/api-keys, sessions of accounts, /admin/signing-keys and /admin/audit-log."""

from tests.serving.admin.operators import OperatorClient

KEY = {"name": "nightly export", "scopes": ["read-data"], "days": 30}


def test_an_api_key_is_created_once_rotated_once_and_revoked(operator: OperatorClient) -> None:
    robot = operator.new_account("robot", "service")
    header = {"Idempotency-Key": "create the robot's key"}
    new = operator.post("/accounts/robot/api-keys", KEY, status=201, headers=header)
    first = OperatorClient(operator.api, {"Authorization": f"Bearer {new.pop('api_key')}"})
    assert first.status() == robot.status() == 200
    repeated = operator.post("/accounts/robot/api-keys", KEY, status=409, headers=header)
    assert new["prefix"] in repeated["detail"]
    rotated = operator.post(f"/api-keys/{new['prefix']}/rotate", {"overlap_hours": 1}, status=201)
    second = OperatorClient(operator.api, {"Authorization": f"Bearer {rotated['api_key']}"})
    assert first.status() == second.status() == 200
    again = operator.post(f"/api-keys/{new['prefix']}/rotate", {}, status=409)
    assert rotated["prefix"] in again["detail"]
    revoked = operator.post(f"/api-keys/{rotated['prefix']}/revoke")
    assert operator.post(f"/api-keys/{rotated['prefix']}/revoke") == revoked
    assert second.status() == 401
    listed = operator.pages("/api-keys", "api_keys", limit=1, username="robot")
    assert [each["prefix"] for each in listed] == [rotated["prefix"], new["prefix"]]
    assert not any("api_key" in each or "secret_hash" in each for each in listed)
    actions = ("api_key.created", "api_key.rotated", "api_key.revoked")
    assert [operator.audited(action)[-1]["details"]["username"] for action in actions] == ["robot"] * 3


def test_invalid_api_keys_are_rejected(operator: OperatorClient) -> None:
    for change in ({"scopes": []}, {"scopes": ["everything"]}, {"days": 0}, {"name": ""}, {"username": "admin"}):
        operator.post("/accounts/app/api-keys", KEY | change, status=422)
    operator.post("/api-keys/000000000000/rotate", {}, status=404)
    operator.post("/api-keys/000000000000/revoke", status=404)
    operator.post("/api-keys/x/revoke", status=422)
    assert operator.pages("/api-keys", "api_keys", username="app") == []


def test_keys_of_other_organisations_do_not_exist_for_an_administrator(operator: OperatorClient) -> None:
    admin = operator.new_account("globex-admin", "admin", organisation_id="globex")
    operator.new_account("stranger", "service", organisation_id="initech")
    foreign = operator.post("/accounts/stranger/api-keys", KEY, status=201)
    own = admin.post("/accounts/globex-admin/api-keys", KEY, status=201)
    assert [each["prefix"] for each in admin.pages("/api-keys", "api_keys")] == [own["prefix"]]
    assert admin.get("/api-keys", username="stranger")["api_keys"] == []
    for action, body in (("rotate", {}), ("revoke", None)):
        unknown = admin.post(f"/api-keys/{'0' * 12}/{action}", body, status=404)
        hidden = admin.post(f"/api-keys/{foreign['prefix']}/{action}", body, status=404)
        assert hidden["detail"] == unknown["detail"].replace("0" * 12, foreign["prefix"])


def test_sessions_of_an_account_are_listed_and_ended(operator: OperatorClient) -> None:
    operator.new_account("traveller", "viewer")
    app = OperatorClient(operator.api, operator.logged_in("traveller"))
    form = {"username": "traveller", "password": "a long password of a test"}
    assert operator.api.client.post("/login", data=form).status_code == 303
    listed = operator.get("/accounts/traveller/sessions")["sessions"]
    assert sorted(each["kind"] for each in listed) == ["app", "app", "browser"]
    for each in listed:
        ended = operator.delete(f"/accounts/traveller/sessions/{each['session_id']}")
        assert ended == {"session_id": each["session_id"]}
        operator.delete(f"/accounts/traveller/sessions/{each['session_id']}", status=404)
        operator.delete(f"/accounts/app/sessions/{each['session_id']}", status=404)
    assert app.status() == 401
    assert operator.api.client.get("/auth/me").status_code == 401
    operator.api.client.cookies.clear()
    assert operator.get("/accounts/traveller/sessions")["sessions"] == []
    last = OperatorClient(operator.api, operator.logged_in("traveller"))
    operator.post("/accounts/traveller/logout")
    assert last.status() == 401
    assert [each["actor"] for each in operator.audited("logout") if each["subject"] == "traveller"] == ["admin"] * 3
    for invalid in ("x", "-" * 40, "0" * 63):
        operator.delete(f"/accounts/traveller/sessions/{invalid}", status=422)


def test_the_signing_key_is_rotated_and_a_repeat_changes_nothing(operator: OperatorClient) -> None:
    before = [each["kid"] for each in operator.get("/signing-keys")["signing_keys"]]
    rotated = operator.post("/signing-keys/rotate")
    assert (rotated["is_changed"], rotated["has_started"]) == (True, False)
    assert operator.post("/signing-keys/rotate") == {**rotated, "is_changed": False}
    listed = operator.get("/signing-keys")["signing_keys"]
    assert [each["kid"] for each in listed] == [rotated["kid"], *before]
    assert set(listed[0]) == {"kid", "public_key", "signs_from", "verifies_until", "has_started"}
    assert operator.status() == 200
    assert [each["subject"] for each in operator.audited("signing_key.rotated")] == [rotated["kid"]]


def test_the_audit_log_is_listed_newest_first_page_by_page_and_verified(operator: OperatorClient) -> None:
    ids = [each["event_id"] for each in operator.pages("/audit-log", "audit_events", limit=50)]
    assert ids == list(range(ids[0], 0, -1))
    report = operator.get("/audit-log/verification")
    assert (report["is_intact"], report["problems"], report["newest_id"] >= ids[0]) == (True, [], True)
    known = {"expect_id": report["newest_id"], "expect_hash": report["newest_hash"]}
    assert operator.get("/audit-log/verification", **known)["is_intact"]
    missing = operator.get("/audit-log/verification", expect_id=ids[0], expect_hash="0" * 64)
    assert (missing["is_intact"], len(missing["problems"])) == (False, 1)


def test_an_administrator_of_an_organisation_changes_nothing_of_the_installation(operator: OperatorClient) -> None:
    admin = operator.new_account("umbrella-admin", "admin", organisation_id="umbrella")
    for path in ("/signing-keys", "/audit-log", "/audit-log/verification", "/state", "/rate-plans", "/publications"):
        assert "without an organisation" in admin.get(path, status=403)["detail"]
    admin.post("/signing-keys/rotate", status=403)
