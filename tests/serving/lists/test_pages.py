"""Every list keeps the same convention: pages, order, fields, filters, changes, entity tags."""

from typing import Any

import pytest

from serving.data.lists import examples
from serving.data.lists.definitions import LISTINGS
from serving.data.lists.listing import Listing
from tests.serving.lists.walks import everything, page, walk
from tests.serving.live_server import Api

BY_PATH = {listing.path: listing for listing in LISTINGS}
EMPTY = {"/v1/pipeline-runs"}  # the simulated organisation has no runs
each_list = pytest.mark.parametrize("path", BY_PATH)


def key_of(listing: Listing, row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[term.column] for term in listing.key_terms)


@each_list
def test_rows_are_complete_unique_and_as_documented(api: Api, app_headers: dict[str, str], path: str) -> None:
    listing = BY_PATH[path]
    rows = walk(api, app_headers, listing, most=3_000, **everything(listing))
    assert bool(rows) == (path not in EMPTY)
    assert len({key_of(listing, row) for row in rows}) == len(rows)
    for row in rows:
        assert tuple(row) == listing.columns
        listing.row.model_validate(row)


@each_list
def test_small_pages_give_the_rows_of_a_large_one_in_any_order(
    api: Api, app_headers: dict[str, str], path: str
) -> None:
    listing = BY_PATH[path]
    limits = {"limit": 200}
    first = page(api, app_headers, path, **limits)[listing.rows_name]
    nullable = next((name for name in reversed(listing.columns) if name not in listing.computed), None)
    for sort in (None, nullable, f"-{listing.columns[0]}"):
        order = {} if sort is None else {"sort": sort}
        whole = page(api, app_headers, path, **limits, **order)[listing.rows_name]
        size = max(len(whole) // 7, 1)
        assert walk(api, app_headers, listing, size, len(whole), **order)[: len(whole)] == whole
        if len(first) < 200:
            assert sorted(map(str, whole)) == sorted(map(str, first))


@each_list
def test_sparse_fields_are_returned_in_the_order_of_the_row(api: Api, app_headers: dict[str, str], path: str) -> None:
    listing = BY_PATH[path]
    wanted = [listing.columns[-1], listing.columns[0]]
    rows = page(api, app_headers, path, fields=",".join(wanted))[listing.rows_name]
    assert all(tuple(row) == (listing.columns[0], listing.columns[-1]) for row in rows)
    for parameter in ("fields", "sort"):
        answer = api.client.get(path, params={parameter: f"{listing.columns[0]}x"}, headers=app_headers)
        assert answer.status_code == 422, answer.text
        assert answer.json()["pointer"] == f"query {parameter}"
        assert listing.columns[0] in answer.json()["similar"]


@each_list
def test_an_unchanged_response_is_304(api: Api, app_headers: dict[str, str], path: str) -> None:
    answer = api.client.get(path, headers=app_headers)
    tag = answer.headers["etag"]
    again = api.client.get(path, headers={**app_headers, "If-None-Match": f'"other", {tag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    for other in ({"limit": 1}, {"format": "csv"}):
        changed = api.client.get(path, params=other, headers={**app_headers, "If-None-Match": tag})
        assert (changed.status_code, changed.headers["etag"] != tag) == (200, True)


def test_every_example_is_valid_and_complete() -> None:
    valid = {listing.path: [] for listing in LISTINGS}
    for example in (value for name, value in vars(examples).items() if name.isupper() and not name.startswith("_")):
        for listing in LISTINGS:
            if tuple(example) == listing.columns:
                valid[listing.path].append(listing.row.model_validate(example))
    assert [path for path, found in valid.items() if not found] == []


def test_updated_since_selects_the_rows_that_changed_at_or_after_a_time(api: Api, app_headers: dict[str, str]) -> None:
    for listing in (one for one in LISTINGS if one.is_incremental and one.path not in EMPTY):
        rows = walk(api, app_headers, listing, **everything(listing))
        times = sorted({row["changed_at"] for row in rows})
        middle = times[len(times) // 2]
        changed = walk(api, app_headers, listing, 50, updated_since=middle, **everything(listing))
        assert changed == [row for row in rows if row["changed_at"] >= middle]
        assert changed, listing.path


@pytest.mark.parametrize("text", ["yesterday", "2026-01-01", "2026-01-01T00:00:00", "0001-01-01T00:00:00Z", "9e99"])
def test_a_time_without_a_zone_or_out_of_range_is_rejected(api: Api, app_headers: dict[str, str], text: str) -> None:
    answer = api.client.get("/v1/check-ins", params={"updated_since": text}, headers=app_headers)
    assert answer.status_code == 422, answer.text


def test_a_cursor_is_valid_only_for_its_filters_and_order(api: Api, app_headers: dict[str, str]) -> None:
    cursor = page(api, app_headers, "/v1/key-results", limit=1)["next_cursor"]
    for other in ({"status": "off_track"}, {"sort": "title"}, {"updated_since": "2026-01-01T00:00:00Z"}):
        answer = api.client.get("/v1/key-results", params={"cursor": cursor, **other}, headers=app_headers)
        assert answer.json()["reason"] == "unknown_cursor"
    more = page(api, app_headers, "/v1/key-results", limit=3, cursor=cursor, fields="key_result_id")
    assert len(more["key_results"]) == 3, "the size of pages and their fields may change"
