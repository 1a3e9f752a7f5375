"""After an upgrade, the marts lack new columns until the next publication; check-ins are accepted anyway."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ingestion.contract_validation import EncodedEvent
from lakehouse.settings import Settings
from lakehouse.warehouse import connect
from tests.background_logs import BackgroundLog
from tests.databases import NewDatabase
from tests.serving.check_in_requests import accepted, post, put, word
from tests.serving.live_server import Api, serving
from tests.serving.published_organisation import publish


@pytest.fixture(scope="module")
def upgraded(  # noqa: PLR0917 -- fixtures
    new_database: NewDatabase,
    dbt_target: Path,
    organisation_events: list[EncodedEvent],
    registry_settings: dict[str, object],
    redis_server: Settings,
    kafka: Settings,
) -> Iterator[Api]:
    """The API on marts without a column that this release reads, as published by an older release."""
    with new_database() as database:
        settings = database.model_copy(update=registry_settings)
        publish(settings, organisation_events, dbt_target)
        with connect(settings.require("dsn_transform")) as connection:
            connection.execute(
                "ALTER VIEW marts.fct_check_in RENAME COLUMN counted_cycle_id TO cycle_of_another_release"
            )
        with serving(settings) as api:
            yield api


def test_a_check_in_is_accepted_and_corrected_while_the_marts_are_of_an_older_release(
    upgraded: Api, background_log: BackgroundLog
) -> None:
    headers, check_in_id = upgraded.headers(), word()
    page = upgraded.client.get("/key-results/rtl", headers={"Accept": "application/json"})
    assert page.status_code != 200
    body: dict[str, Any] = {"key_result_id": "rtl", "value": 1e6, "check_in_id": check_in_id}
    first = accepted(post(upgraded, headers, body))
    assert [warning["code"] for warning in first["warnings"]] == ["implausible_value"]
    corrected = accepted(put(upgraded, headers, check_in_id, {"value": 1.0}))
    assert corrected["warnings"] == []
    assert "accepted without the warnings of its status" in background_log.text


def test_an_unknown_key_result_is_still_rejected_while_the_marts_are_of_an_older_release(upgraded: Api) -> None:
    answer = post(upgraded, upgraded.headers(), {"key_result_id": "no-such-key-result", "value": 1.0})
    assert answer.status_code == 422, answer.text
