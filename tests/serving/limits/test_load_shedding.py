"""A worker refuses work before it collapses, and gives slots back in every case."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from starlette.types import Message, Receive, Scope, Send

from serving.limits.load_shedding import LoadShedding, Slots

App = Callable[[Scope, Receive, Send], Awaitable[None]]


async def ask(app: App, path: str = "/x") -> list[Message]:
    """Send a request to an ASGI application and return the messages of its answer."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    await app({"type": "http", "path": path, "method": "GET", "headers": []}, receive, send)
    return sent


async def answer(send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok", "more_body": False})


def shed(app: App, slots: Slots, time_limit_s: float = 30.0) -> LoadShedding:
    return LoadShedding(app, slots=slots, time_limit_s=time_limit_s)  # type: ignore[arg-type]


def statuses(answers: list[list[Message]]) -> list[int]:
    return sorted(int(sent[0]["status"]) for sent in answers)


def test_requests_beyond_the_slots_wait_and_those_beyond_the_queue_are_refused() -> None:
    async def run() -> tuple[list[list[Message]], int]:
        most = now = 0

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            nonlocal most, now
            now += 1
            most = max(most, now)
            await asyncio.sleep(0.02)
            now -= 1
            await answer(send)

        guarded = shed(app, Slots(slots=2, most_waiting=3, wait_s=5.0))
        return list(await asyncio.gather(*(ask(guarded) for _ in range(8)))), most

    answers, most = asyncio.run(run())
    assert statuses(answers) == [200] * 5 + [503] * 3
    assert most == 2
    refused = next(sent for sent in answers if sent[0]["status"] == 503)
    assert (b"retry-after", b"2") in refused[0]["headers"]
    assert b"urn:okr:problem:overloaded" in refused[1]["body"]


def test_a_request_that_waits_too_long_is_refused_and_its_place_is_free_again() -> None:
    async def run() -> tuple[list[int], Slots]:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await asyncio.sleep(0.2)
            await answer(send)

        slots = Slots(slots=1, most_waiting=5, wait_s=0.05)
        guarded = shed(app, slots)
        return statuses(list(await asyncio.gather(*(ask(guarded) for _ in range(3))))), slots

    found, slots = asyncio.run(run())
    assert found == [200, 503, 503]
    assert (slots.free, len(slots.waiting)) == (1, 0)


def test_health_and_metrics_need_no_slot() -> None:
    async def run() -> list[int]:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await answer(send)

        guarded = shed(app, Slots(slots=0, most_waiting=0))
        return [(await ask(guarded, path))[0]["status"] for path in ("/livez", "/readyz", "/health", "/metrics", "/")]

    assert asyncio.run(run()) == [200, 200, 200, 200, 503]


def test_a_request_beyond_the_time_limit_is_answered_and_keeps_its_slot_until_it_ends() -> None:
    async def run() -> tuple[list[Message], int, int]:
        finished = asyncio.Event()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await finished.wait()
            await answer(send)

        slots = Slots(slots=1, most_waiting=0)
        guarded = shed(app, slots, time_limit_s=0.05)
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        async def receive() -> Message:
            return {"type": "http.disconnect"}

        scope = {"type": "http", "path": "/", "method": "GET", "headers": []}
        task = asyncio.create_task(guarded(scope, receive, send))
        while len(sent) < 2:
            await asyncio.sleep(0.01)
        while_running = slots.free
        finished.set()
        await task
        return sent, while_running, slots.free

    sent, while_running, afterwards = asyncio.run(run())
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert sent[0]["status"] == 503
    assert b"time-limit" in sent[1]["body"]
    assert (while_running, afterwards) == (0, 1)


@pytest.mark.parametrize("error", [ValueError("broken"), asyncio.CancelledError()])
def test_a_request_that_fails_or_is_cancelled_gives_its_slot_back(error: BaseException) -> None:
    async def run() -> Slots:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            raise error

        slots = Slots(slots=3)
        with pytest.raises(type(error)):
            await ask(shed(app, slots))
        return slots

    assert asyncio.run(run()).free == 3


def test_a_request_gives_its_slot_back_when_its_response_starts_which_then_has_no_time_limit() -> None:
    async def run() -> tuple[list[int], list[Message], int]:
        free: list[int] = []
        slots = Slots(slots=1)

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            free.append(slots.free)
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await asyncio.sleep(0.15)  # a client that reads slowly
            free.append(slots.free)
            await send({"type": "http.response.body", "body": b"1", "more_body": True})
            await send({"type": "http.response.body", "body": b"2", "more_body": False})

        sent = await ask(shed(app, slots, time_limit_s=0.05))
        return free, sent, slots.free

    free, sent, afterwards = asyncio.run(run())
    assert free == [0, 1]
    assert [message["body"] for message in sent[1:]] == [b"1", b"2"]
    assert afterwards == 1
