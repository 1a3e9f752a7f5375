"""Requests to the data API, with checks of what all its answers have in common."""

from datetime import datetime
from typing import Any

from tests.serving.live_server import Api
from tests.serving.published_organisation import AS_OF


def get(api: Api, headers: dict[str, str], path: str) -> dict[str, Any]:
    answer = api.client.get(path, headers=headers)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    assert body["publication_id"] == 1
    assert datetime.fromisoformat(body["data_as_of"]) <= AS_OF
    return body


def all_pages(api: Api, headers: dict[str, str], path: str, rows: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = ""
    while cursor is not None:
        body = get(api, headers, f"{path}{cursor and f'&cursor={cursor}'}")
        found += body[rows]
        cursor = body["next_cursor"]
    return found
