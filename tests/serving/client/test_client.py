"""okr_client against the running API: each kind of operation, with blocking calls and with coroutines."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import duckdb
import polars as pl
import pytest
from okr_client import AsyncOkr, Okr
from okr_client.errors import Conflict, InvalidRequest, NotAllowed, NotFound, VersionMismatch

from serving.auth.account_changes import Actor
from tests.serving.live_server import Api
from tests.serving.published_organisation import STRANGE
from tests.serving.writes.definitions import word


@pytest.fixture
def okr(api: Api) -> Iterator[Okr]:
    with Okr(str(api.client.base_url), username="app", password=api.settings.require("app_password")) as client:
        yield client


@pytest.fixture
def key(api: Api) -> str:
    return api.services.auth.api_keys.add("app", "client test", ["read-data", "predict"], Actor("os:test"), None).text


def test_predictions_lists_and_the_publication_agree(okr: Okr) -> None:
    publication = okr.data.publication()
    rows = list(okr.data.key_results(limit=50))
    assert len(rows) > 50
    assert len({(row.key_result_id, row.cycle_id) for row in rows}) == len(rows)
    assert {page.publication_id for page in okr.data.key_results(limit=200).pages()} == {publication.publication_id}
    running = [row.key_result_id for row in rows if row.status in {"on_track", "at_risk", "off_track"}][:5]
    answer = okr.predict(key_result_ids=running)
    assert [each.key_result_id for each in answer.predictions] == running
    assert all(0 <= (each.probability or -1) <= 1 and each.reasons for each in answer.predictions)
    assert okr.models().active.version == answer.model.version
    filtered = list(okr.data.key_results(status=["at_risk", "off_track"], sort="-progress_ratio"))
    assert {row.status for row in filtered} <= {"at_risk", "off_track"}


def test_strange_ids_are_one_segment_of_a_path(okr: Okr) -> None:
    for key_result_id, title in STRANGE.items():
        assert okr.data.key_result(key_result_id).key_result.title == title


def test_single_fields_and_exports_have_the_rows_of_the_pages(okr: Okr, tmp_path: Path) -> None:
    ids = [row.check_in_id for row in okr.data.check_ins(limit=1000)]
    assert list(okr.data.check_ins(limit=1000).select("check_in_id")) == [{"check_in_id": each} for each in ids]
    for suffix in ("parquet", "arrow", "csv"):
        assert okr.data.check_ins().export(tmp_path / f"check_ins.{suffix}") == okr.data.publication().publication_id
    assert pl.read_parquet(tmp_path / "check_ins.parquet")["check_in_id"].to_list() == ids
    assert pl.read_ipc_stream(tmp_path / "check_ins.arrow")["check_in_id"].to_list() == ids
    (count,) = duckdb.sql(f"SELECT count(*) FROM '{tmp_path}/check_ins.csv'").fetchone() or (0,)
    assert count == len(ids)
    okr.data.teams().export(tmp_path / "teams.parquet", fields=("team_id", "name"))
    assert pl.read_parquet(tmp_path / "teams.parquet").columns == ["team_id", "name"]


def test_a_definition_is_written_replaced_and_followed(okr: Okr) -> None:
    organisation = word("org")
    created = okr.writes.create_team(organisation_id=organisation, name="Sales", idempotency_key=(key := word()))
    assert okr.writes.create_team(organisation_id=organisation, name="Sales", idempotency_key=key) == created
    with pytest.raises(Conflict) as raised:
        okr.writes.create_team(organisation_id=organisation, name="Sales 2", idempotency_key=key)
    assert raised.value.problem["differs"]
    assert okr.wait(created, until="accepted").operation == "POST /v1/teams"
    definition = okr.writes.definition_of_team(created.entity_id)
    replaced = okr.writes.replace_team(
        created.entity_id, organisation_id=organisation, name="Growth", if_match=created.etag
    )
    with pytest.raises(VersionMismatch) as stale:
        okr.writes.replace_team(created.entity_id, organisation_id=organisation, name="X", if_match=created.etag)
    assert stale.value.problem["current"]["etag"] == replaced.etag
    assert definition.data["name"] == "Sales"
    events = [{"type": "okr.team.defined.v1", "data": {"organisation_id": organisation, "name": "Support"}}]
    assert len(okr.writes.write_events(events=events).events) == 1


def test_errors_are_typed_and_have_code_hint_and_request_id(okr: Okr) -> None:
    with pytest.raises(NotFound) as raised:
        okr.data.key_result("nothing")
    assert (raised.value.code, raised.value.status) == ("not-found", 404)
    assert raised.value.hint
    assert len(raised.value.request_id or "") >= 16
    with pytest.raises(InvalidRequest, match="limit"):
        okr.data.users(limit=5000).pages().__next__()
    with pytest.raises(NotAllowed):
        okr.admin.publications.current()


def test_the_live_figures_are_followed(okr: Okr) -> None:
    event = next(okr.data.follow())
    assert event.event in {"figures", "unavailable"}


def test_operators_have_the_admin_api(api: Api) -> None:
    with Okr(str(api.client.base_url), username="admin", password=api.settings.require("admin_password")) as okr:
        assert {account.username for account in okr.admin.accounts.list(limit=1)} >= {"admin", "app", "lead"}
        assert okr.admin.publications.current().publication
        assert okr.admin.rate_plans.list()
        assert okr.auth.me().role == "admin"
        okr.auth.logout()


def test_coroutines_do_the_same_with_an_api_key(api: Api, key: str, tmp_path: Path) -> None:
    async def use() -> None:
        async with AsyncOkr(str(api.client.base_url), api_key=key) as okr:
            rows = [row async for row in okr.data.key_results(limit=100)]
            assert len(rows) > 50
            titles = [row["title"] async for row in okr.data.key_results().select("title")]
            assert len(titles) == len(rows)
            answer, me = await asyncio.gather(okr.predict(key_result_ids=[rows[0].key_result_id]), okr.auth.me())
            assert len(answer.predictions) == 1
            assert sorted(me.rights) == ["predict", "read-data"]
            assert await okr.data.teams().export(tmp_path / "teams.parquet")
            with pytest.raises(NotAllowed):
                await okr.writes.create_team(organisation_id="o", name="n")
        async with AsyncOkr(
            str(api.client.base_url), username="app", password=api.settings.require("app_password")
        ) as okr:
            async for event in okr.data.follow():
                assert event.event in {"figures", "unavailable"}
                break

    asyncio.run(use())
    assert pl.read_parquet(tmp_path / "teams.parquet").height > 0
