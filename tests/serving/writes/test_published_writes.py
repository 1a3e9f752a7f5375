"""What an app writes reaches the published marts, and its status shows its progress."""

import threading
from pathlib import Path
from typing import Any

from ingestion.landing.consumer import land
from ingestion.loading.copy import load
from ingestion.state.consumer import consume_state
from lakehouse.publishing import marts_build
from lakehouse.settings import Settings
from lakehouse.warehouse import connect
from serving.data.lists.definitions import CHECK_INS, KEY_RESULTS, OBJECTIVES, TEAMS, USERS
from tests.dbt_process import run_dbt
from tests.publications import publish_build
from tests.serving.lists.walks import export, read_csv, walk
from tests.serving.live_server import Api, serving
from tests.serving.writes.definitions import accepted, new_organisation, write


def statuses(api: Api, headers: dict[str, str], events: list[dict[str, Any]]) -> set[str]:
    return {api.client.get(event["status_url"], headers=headers).json()["status"] for event in events}


def test_a_write_is_accepted_landed_loaded_and_published(
    pipeline: Settings, registry_settings: dict[str, object], dbt_target: Path
) -> None:
    settings = pipeline.model_copy(update=registry_settings)
    with serving(settings) as api:
        headers = api.headers()
        written = accepted(write(api, headers, new_organisation("1")))["events"]
        comment = written.pop()  # the state tables have no comments, so nothing tells that one has landed
        assert statuses(api, headers, written) == {"accepted"}
        stolen = {"team_id": "team-1", "organisation_id": "another", "name": "Stolen"}
        moved = accepted(api.client.put("/v1/teams/team-1", json=stolen, headers={**headers, "If-Match": "*"}))
        consume_state(settings, threading.Event(), drain=True)
        land(settings, threading.Event(), drain=True)
        assert statuses(api, headers, written) == {"landed"}
        load(settings)
        assert statuses(api, headers, [*written, comment]) == {"loaded"}
        marts_build.prepare_build(settings.require("dsn_transform"), "run")
        run_dbt(settings, dbt_target, "run")
        publish_build(settings)
        assert statuses(api, headers, [*written, comment]) == {"published"}
        held = api.client.get(moved["status_url"], headers=headers).json()
        assert (held["status"], "organisation" in held["reason"]) == ("quarantined", True)
        ids = {listing.path: [row[listing.key[0]] for row in walk(api, headers, listing)]
               for listing in (TEAMS, USERS, OBJECTIVES, KEY_RESULTS, CHECK_INS)}  # fmt: skip
        assert ids == {"/v1/teams": ["team-1"], "/v1/users": ["user-1"], "/v1/objectives": ["obj-1"],
                       "/v1/key-results": ["kr-1"], "/v1/check-ins": ["ci-1"]}  # fmt: skip
        (row,) = walk(api, headers, KEY_RESULTS)
        assert (row["title"], row["latest_value"], row["progress_ratio"]) == ("=HYPERLINK(1)", 31.0, 0.55)
        assert b"'=HYPERLINK(1)" in export(api, headers, KEY_RESULTS, "csv")
        assert [each["title"] for each in read_csv(export(api, headers, KEY_RESULTS, "csv"), KEY_RESULTS)] == [
            "=HYPERLINK(1)"
        ]
        see_only_their_organisation(api, settings)


def see_only_their_organisation(api: Api, settings: Settings) -> None:
    """An account of another organisation sees nothing of it."""
    with connect(settings.require("dsn_owner")) as connection:
        connection.execute("UPDATE auth.account SET organisation_id = 'another' WHERE username = 'app'")
    headers = api.headers()
    for listing in (TEAMS, USERS, OBJECTIVES, KEY_RESULTS, CHECK_INS):
        assert walk(api, headers, listing) == [], listing.path
    assert api.client.get("/v1/key-results/kr-1", headers=headers).status_code == 404
    assert api.client.get("/v1/teams/team-1/definition", headers=headers).status_code == 404
    body = {"key_result_id": "kr-1", "value": 1.0}
    assert api.client.post("/v1/check-ins", json=body, headers=headers).status_code == 422
    assert api.client.put("/v1/check-ins/ci-1", json={"value": 1.0}, headers=headers).status_code == 404
    for path in ("/v1/key-results?objective=obj-1", "/v1/check-ins?key_result=kr-1", "/v1/teams?team=Sales"):
        unknown = api.client.get(path, headers=headers)
        assert (unknown.status_code, unknown.json()["similar"]) == (422, [])
    assert api.client.post("/v1/key-results/kr-1/archival", json={}, headers=headers).status_code == 404
    taken = api.client.post(
        "/v1/teams", json={"team_id": "team-1", "organisation_id": "another", "name": "x"}, headers=headers
    )
    assert taken.status_code == 403
