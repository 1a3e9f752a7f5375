"""okr_client repeats a request only if that is safe, and not before the API allows it."""

import asyncio
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from okr_client import AsyncOkr, ConnectionFailed, Okr, Retries
from okr_client.errors import (
    ApiError,
    Conflict,
    EventNotPublished,
    InvalidResponse,
    NotPublishedInTime,
    NotSignedIn,
    RateLimited,
    Unavailable,
)

from tests.serving.client.scripted_server import DROP, Scripted, problem, scripted

EVENT_ID = "0199c2c4-6f0e-7c1a-8d5e-3b7a52f0c9aa"
QUICK = Retries(first_wait_s=0.01)
PUBLICATION = Scripted(
    body={
        "publication_id": 7, "data_as_of": "2026-11-20T12:00:00Z", "published_at": "2026-11-20T12:00:40Z",
        "model_version": None, "held_since": None, "hold_reason": None, "a_new_field": 1,
    }
)  # fmt: skip
WRITTEN = Scripted(
    202,
    {
        "event_id": EVENT_ID, "event_type": "okr.team.defined.v1", "entity_id": "t1", "status_url": "/v1/events/e1",
        "occurred_at": "2026-11-20T12:00:00Z", "etag": '"e1"', "is_acknowledged": True,
    },
)  # fmt: skip


def client(url: str, retries: Retries = QUICK, **options: Any) -> Okr:
    return Okr(url, retries=retries, **options)


def status(name: str) -> Scripted:
    return Scripted(
        body={
            "event_id": EVENT_ID, "event_type": "okr.team.defined.v1", "entity_id": "t1", "status": name,
            "reason": "why",
            "operation": "POST /v1/teams", "occurred_at": "2026-11-20T12:00:00Z", "is_acknowledged": True,
            "accepted_at": "2026-11-20T12:00:00Z", "publication_id": None,
        }
    )  # fmt: skip


@pytest.mark.parametrize("failure", [problem(503, "unavailable"), problem(502, "x"), Scripted(DROP)], ids=str)
def test_a_read_is_repeated(failure: Scripted) -> None:
    with scripted(__v1__publication=[failure, failure, PUBLICATION]) as server, client(server.url) as okr:
        assert okr.data.publication().publication_id == 7
        assert len(server.requests) == 3


def test_a_write_is_repeated_with_the_same_idempotency_key() -> None:
    with scripted(__v1__teams=[Scripted(DROP), problem(503, "not-persisted"), WRITTEN]) as server:
        with client(server.url) as okr:
            assert okr.writes.create_team(organisation_id="o", name="n").entity_id == "t1"
        keys = server.headers("idempotency-key")
        assert len(keys) == 3
        assert len(set(keys)) == 1
        assert keys[0]
        assert {body for _, _, _, body in server.requests} == {b'{"organisation_id":"o","name":"n"}'}


def test_a_request_that_could_act_twice_is_not_repeated_unless_it_was_not_processed() -> None:
    with scripted(__predict=[Scripted(DROP)]) as server, client(server.url) as okr:
        with pytest.raises(ConnectionFailed):
            okr.predict(key_result_ids=["k"])
        assert len(server.requests) == 1
    with scripted(__predict=[problem(503, "time-limit")]) as server, client(server.url) as okr:
        with pytest.raises(Unavailable):
            okr.predict(key_result_ids=["k"])
        assert len(server.requests) == 1
    refused = [problem(429, "rate-limit"), problem(503, "overloaded"), problem(409, "conflict")]
    with scripted(__predict=refused) as server, client(server.url) as okr:
        with pytest.raises(Conflict):
            okr.predict(key_result_ids=["k"])
        assert len(server.requests) == 3


def test_retry_after_is_the_shortest_wait_and_a_long_one_is_an_error() -> None:
    soon = [problem(503, "unavailable", **{"Retry-After": "1"}), PUBLICATION]
    with scripted(__v1__publication=soon) as server, client(server.url) as okr:
        started = time.monotonic()
        okr.data.publication()
        assert time.monotonic() - started >= 1
    late = format_datetime(datetime.now(UTC) + timedelta(minutes=9), usegmt=True)
    for value in ("900", late):
        answer = problem(429, "too-many-attempts", **{"Retry-After": value})
        with scripted(__v1__publication=[answer]) as server, client(server.url) as okr:
            with pytest.raises(RateLimited) as raised:
                okr.data.publication()
            assert len(server.requests) == 1
            assert (raised.value.code, raised.value.hint, raised.value.request_id) == (
                "too-many-attempts", "Do it.", "r1",
            )  # fmt: skip


def test_it_gives_up_after_the_last_attempt() -> None:
    with scripted(__v1__publication=[problem(503, "unavailable")]) as server:
        with client(server.url, Retries(attempts=3, first_wait_s=0.01)) as okr, pytest.raises(Unavailable):
            okr.data.publication()
        assert len(server.requests) == 3
    with client("http://127.0.0.1:9", Retries(attempts=2, first_wait_s=0.01)) as okr:
        with pytest.raises(ConnectionFailed, match="2 attempts") as raised:
            okr.data.publication()
        assert isinstance(raised.value.__cause__, httpx.ConnectError)


def test_an_export_that_breaks_off_is_started_again_and_leaves_no_part_of_a_file(tmp_path: Path) -> None:
    headers = {"Content-Type": "text/csv", "OKR-Publication-Id": "7"}
    broken, whole = Scripted(200, b"a\n1\n", headers, missing_bytes=9), Scripted(200, b"a\n1\n2\n", headers)
    with scripted(__v1__teams=[broken, whole]) as server, client(server.url) as okr:
        assert okr.data.teams().export(tmp_path / "teams.csv") == 7
        assert server.headers("accept") == ["text/csv"] * 2
    assert (tmp_path / "teams.csv").read_bytes() == b"a\n1\n2\n"
    with scripted(__v1__teams=[broken]) as server, client(server.url) as okr, pytest.raises(ConnectionFailed):
        okr.data.teams().export(tmp_path / "other.csv")
    assert [each.name for each in tmp_path.iterdir()] == ["teams.csv"]
    with scripted() as server, client(server.url) as okr, pytest.raises(ValueError, match=r"\.parquet"):
        okr.data.teams().export(tmp_path / "teams.xlsx")


def grant(number: int, expires_in: float = 900) -> Scripted:
    return Scripted(body={"access_token": f"a{number}", "expires_in": expires_in, "refresh_token": f"r{number}"})


def test_tokens_are_refreshed_before_they_expire_and_after_they_are_refused() -> None:
    refused = problem(401, "not-signed-in")
    paths = {
        "__auth__token": [grant(1, expires_in=10), grant(4)],
        "__auth__refresh": [grant(2), grant(3), refused],
        "__v1__publication": [PUBLICATION, PUBLICATION, refused, PUBLICATION, refused, PUBLICATION, refused],
    }
    with scripted(**paths) as server, client(server.url, username="ada", password="x") as okr:
        okr.data.publication()  # a1 has less than 30 s left, so that the next request refreshes it
        okr.data.publication()
        okr.data.publication()  # a2 is refused
        okr.data.publication()  # a3 is refused, and so is its refresh token
        with pytest.raises(NotSignedIn):
            okr.data.publication()
        sent = [
            (path, headers.get("authorization")) for _, path, headers, _ in server.requests if path == "/v1/publication"
        ]
        assert [value for _, value in sent] == [f"Bearer a{number}" for number in (1, 2, 2, 3, 3, 4, 4, 4)]
        assert server.requests[0][3] == b'{"username":"ada","password":"x"}'


def test_threads_share_one_login() -> None:
    with (
        scripted(__auth__token=[grant(1)], __v1__publication=[PUBLICATION]) as server,
        client(server.url, username="ada", password="x") as okr,
    ):
        threads = [threading.Thread(target=okr.data.publication) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert [path for _, path, _, _ in server.requests].count("/auth/token") == 1


def test_a_failed_login_is_an_error_of_the_api() -> None:
    with (
        scripted(__auth__token=[problem(401, "not-signed-in")]) as server,
        client(server.url, username="ada", password="x") as okr,
        pytest.raises(NotSignedIn, match="not-signed-in"),
    ):
        okr.data.publication()
    with pytest.raises(ValueError, match="one credential"):
        Okr("http://127.0.0.1:9", api_key="k", username="ada", password="x")
    with pytest.raises(ValueError, match="both"):
        Okr("http://127.0.0.1:9", username="ada")


def test_a_response_of_something_else_than_the_api_is_an_error() -> None:
    page = Scripted(418, b"<h1>teapot</h1>", {"Content-Type": "text/html"})
    with scripted(__v1__publication=[page]) as server, client(server.url) as okr:
        with pytest.raises(ApiError) as raised:
            okr.data.publication()
        assert (raised.value.status, raised.value.code, raised.value.hint) == (418, "", "<h1>teapot</h1>")
    with (
        scripted(__v1__publication=[Scripted(body={"a": 1})]) as server,
        client(server.url) as okr,
        pytest.raises(InvalidResponse, match="GET /v1/publication"),
    ):
        okr.data.publication()


def test_a_deprecated_operation_warns() -> None:
    headers = {"Deprecation": "@1793000000", "Sunset": "Sat, 01 May 2027 00:00:00 GMT", "Link": "</v1/x>"}
    answer = Scripted(200, PUBLICATION.body, headers)
    with (
        scripted(__v1__publication=[answer]) as server,
        client(server.url) as okr,
        pytest.warns(DeprecationWarning, match=r"GET /v1/publication .* 01 May 2027 .*</v1/x>"),
    ):
        okr.data.publication()


def test_waiting_ends_with_the_status_an_error_or_the_time_limit() -> None:
    with (
        scripted(**{f"__v1__events__{EVENT_ID}": [status("accepted"), status("loaded")]}) as server,
        client(server.url) as okr,
    ):
        assert okr.wait(EVENT_ID, until="landed").status == "loaded"
        with pytest.raises(NotPublishedInTime, match=r"loaded after 0\.1 s"):
            okr.wait(EVENT_ID, timeout_s=0.1)
    with scripted(**{f"__v1__events__{EVENT_ID}": [status("quarantined")]}) as server, client(server.url) as okr:
        with pytest.raises(EventNotPublished, match="why") as raised:
            okr.wait(EVENT_ID)
        assert raised.value.status.status == "quarantined"


def test_the_asynchronous_client_has_the_same_rules(tmp_path: Path) -> None:
    headers = {"Content-Type": "text/csv", "OKR-Publication-Id": "7"}
    broken, whole = Scripted(200, b"a\n", headers, missing_bytes=9), Scripted(200, b"a\n1\n", headers)

    async def use(url: str) -> None:
        async with AsyncOkr(url, username="ada", password="x", retries=QUICK) as okr:
            pages = await asyncio.gather(*(okr.data.publication() for _ in range(5)))
            assert {page.publication_id for page in pages} == {7}
            assert await okr.data.teams().export(tmp_path / "teams.csv") == 7
            with pytest.raises(Conflict):
                await okr.predict(key_result_ids=["k"])
            assert (await okr.wait(EVENT_ID, until="loaded")).status == "published"

    paths = {
        "__auth__token": grant(1),
        "__v1__publication": [problem(503, "unavailable"), Scripted(DROP), PUBLICATION],
        "__v1__teams": [broken, whole],
        "__predict": problem(409, "conflict"),
        f"__v1__events__{EVENT_ID}": [status("landed"), status("published")],
    }
    with scripted(**paths) as server:
        asyncio.run(use(server.url))
        assert [path for _, path, _, _ in server.requests].count("/auth/token") == 1
    assert (tmp_path / "teams.csv").read_bytes() == b"a\n1\n"
