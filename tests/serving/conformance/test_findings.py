"""What Schemathesis has found, one by one."""

import pytest

from tests.serving.live_server import Api


@pytest.mark.parametrize(
    "query",
    [
        "check-ins?updated_since=2026",
        "check-ins?updated_since=0.5",
        "check-ins?updated_since=1e3",
        "progress-days?to_day=0",
    ],
)
def test_a_number_is_no_time(api: Api, app_headers: dict[str, str], query: str) -> None:
    answer = api.client.get(f"/v1/{query}", headers=app_headers)
    assert answer.status_code == 422
    assert "ISO 8601" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/cycles/2026-q4/closing", "OPTIONS, POST"),
        ("PUT", "/v1/teams/a/b/definition", "GET, HEAD, OPTIONS"),
        ("GET", "/v1/key-results/kr/archival", "OPTIONS, POST"),
        ("PUT", "/v1/users/u-17/activity", "GET, HEAD, OPTIONS"),
    ],
)
def test_an_action_in_a_path_is_no_part_of_an_id(
    api: Api, app_headers: dict[str, str], method: str, path: str, allowed: str
) -> None:
    answer = api.client.request(method, path, headers=app_headers, json={"name": "x"})
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    assert api.client.options(path).headers["allow"] == allowed


def test_an_id_may_contain_and_end_with_other_words(api: Api, app_headers: dict[str, str]) -> None:
    for key_result_id in ("a/b", "closing", "a/closings", "a/closing/b"):
        answer = api.client.get(f"/v1/key-results/{key_result_id}", headers=app_headers)
        assert (answer.status_code, answer.json()["type"]) == (404, "urn:okr:problem:not-found")
