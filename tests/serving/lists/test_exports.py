"""CSV, Parquet and Arrow have the same rows as JSON; CSV is safe to open in a spreadsheet."""

import asyncio
from contextlib import ExitStack
from datetime import UTC, date, datetime
from typing import Any

import httpx
import pytest
from starlette.types import Message

from lakehouse.errors import RetryableError
from serving.auth.visibility import UNRESTRICTED
from serving.data.lists.csv_cells import csv_chunks, escaped
from serving.data.lists.definitions import CHECK_INS, KEY_RESULTS, LISTINGS, PROGRESS_DAYS, TEAMS
from serving.data.lists.exports import MAX_CONCURRENT, MAX_PER_ACCOUNT, Stream
from serving.data.lists.formats import Format
from serving.data.lists.listing import kind_of
from serving.data.lists.queries import TeamsQuery
from serving.data.lists.responses import ExportResponse
from serving.data.lists.service import ListRequest
from tests.polling import until
from tests.serving.lists.walks import everything, export, read_arrow, read_csv, read_parquet, walk
from tests.serving.live_server import Api

BY_PATH = {listing.path: listing for listing in LISTINGS}


@pytest.mark.parametrize("path", BY_PATH)
def test_every_format_has_the_rows_of_the_json_pages(api: Api, app_headers: dict[str, str], path: str) -> None:
    listing = BY_PATH[path]
    parameters = everything(listing)
    if listing is PROGRESS_DAYS:
        parameters = {"from_day": "2026-10-20"}  # the test takes too long with all days
    rows = walk(api, app_headers, listing, **parameters)
    typed = [listing.row.model_validate(row).model_dump() for row in rows]
    for wanted, read in (("arrow", read_arrow), ("parquet", read_parquet)):
        table = read(export(api, app_headers, listing, wanted, **parameters))
        assert table.to_pylist() == typed, wanted
        assert table.schema.metadata[b"publication_id"] == b"1"
    found = read_csv(export(api, app_headers, listing, "csv", **parameters), listing)
    assert found == [{name: in_csv(value) for name, value in row.items()} for row in typed]


def in_csv(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case date():
            return value.isoformat()
        case _:
            return str(value)


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "'=1"])
def test_text_that_a_spreadsheet_would_run_is_escaped_and_numbers_are_not(text: str) -> None:
    content = b"".join(csv_chunks(["text", "number"], [[{"text": text, "number": -1.5}]])).decode()
    assert escaped(text) == f"'{text}"
    assert content.partition("\r\n")[2].lstrip('"').startswith("'")
    assert content.endswith(",-1.5\r\n")
    assert escaped("1-1=0") == "1-1=0"


def test_a_title_from_a_user_is_escaped_in_csv_alone(api: Api, app_headers: dict[str, str]) -> None:
    """The simulated organisation has no such title, so a unit test covers the cells and this one the columns."""
    text_columns = [name for name in KEY_RESULTS.columns if kind_of(KEY_RESULTS.row, name) is str]
    assert {"title", "objective_title", "team_name", "unit"} <= set(text_columns)
    rows = read_csv(export(api, app_headers, KEY_RESULTS, "csv"), KEY_RESULTS)
    assert "<i>%</i>" in {row["unit"] for row in rows}


def test_the_format_is_chosen_by_the_parameter_or_by_accept(api: Api, app_headers: dict[str, str]) -> None:
    types = {
        "": "application/json", "*/*": "application/json", "text/csv": "text/csv",
        "text/*;q=0.4, application/vnd.apache.parquet;q=0.5": "application/vnd.apache.parquet",
        "application/vnd.apache.arrow.stream": "application/vnd.apache.arrow.stream",
    }  # fmt: skip
    for accept, expected in types.items():
        answer = api.client.get("/v1/teams", headers={**app_headers, "Accept": accept})
        assert answer.headers["content-type"].partition(";")[0] == expected, accept
        assert answer.headers["okr-publication-id"] == "1"
    assert api.client.get("/v1/teams", headers={**app_headers, "Accept": "image/png"}).status_code == 406
    forced = api.client.get("/v1/teams?format=csv", headers={**app_headers, "Accept": "application/json"})
    assert forced.headers["content-disposition"] == 'attachment; filename="teams-1.csv"'
    wrong = api.client.get("/v1/teams?format=cvs", headers=app_headers)
    assert (wrong.status_code, wrong.json()["similar"]) == (422, ["csv"])
    assert api.client.get("/v1/teams?format=csv&limit=1", headers=app_headers).json()["reason"] == "no_pages"


def test_an_export_obeys_filters_fields_and_order(api: Api, app_headers: dict[str, str]) -> None:
    wanted = {"fields": "value,check_in_id", "sort": "-value", "from_day": "2026-06-01"}
    rows = walk(api, app_headers, CHECK_INS, 70, **wanted)
    assert read_arrow(export(api, app_headers, CHECK_INS, "arrow", **wanted)).to_pylist() == rows
    assert [row["value"] for row in rows] == sorted((row["value"] for row in rows), reverse=True)


def test_an_account_leaves_an_export_to_others(api: Api) -> None:
    request = ListRequest(TEAMS, TeamsQuery(), UNRESTRICTED)
    with ExitStack() as stack:
        for _ in range(MAX_PER_ACCOUNT):
            stack.callback(api.services.exports.start(request, Format.CSV, "app").chunks.close)
        with pytest.raises(RetryableError, match="your account"):
            api.services.exports.start(request, Format.CSV, "app")
        api.services.exports.start(request, Format.CSV, "admin").chunks.close()
    assert api.services.exports.running == 0
    api.services.exports.start(request, Format.CSV, "app").chunks.close()


def test_an_export_that_its_client_reads_too_slowly_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.data.lists.responses.MAX_EXPORT_S", 0.1)
    ended: list[str] = []
    resources = ExitStack()
    resources.callback(ended.append, "snapshot")
    response = ExportResponse(Stream(resources, b"first", iter([b"next"] * 1_000)))

    async def read_slowly(_message: Message) -> None:
        await asyncio.sleep(0.05)

    async def stay_connected() -> Message:
        await asyncio.sleep(60)
        return {"type": "http.disconnect"}

    asyncio.run(asyncio.wait_for(response({"type": "http", "asgi": {}}, stay_connected, read_slowly), 5))
    assert ended == ["snapshot"]


def test_a_client_that_leaves_frees_its_export(api: Api, app_headers: dict[str, str]) -> None:
    for _ in range(MAX_CONCURRENT + 2):
        until(lambda: api.services.exports.running < MAX_PER_ACCOUNT, "the one before was noticed")
        with (
            httpx.Client(base_url=api.client.base_url) as client,
            client.stream("GET", PROGRESS_DAYS.path, params={"format": "csv"}, headers=app_headers) as answer,
        ):
            assert answer.status_code == 200, answer.read()
            next(answer.iter_bytes(100))
    until(lambda: api.services.exports.running == 0, "all were noticed")
    assert export(api, app_headers, PROGRESS_DAYS, "arrow", key_result="rtl")
