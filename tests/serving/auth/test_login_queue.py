"""Logins wait in one queue for each network, so that one network cannot delay those of the others."""

import asyncio

import pytest
from starlette.types import Message, Receive, Scope, Send

from serving.auth.login_queue import FairSlots, LoginQueue

HOME, CROWD = "192.0.2.1", "198.51.100.1"


async def queued(slots: FairSlots, *networks: str) -> list[asyncio.Task[bool]]:
    tasks = []
    for network in networks:
        tasks.append(asyncio.create_task(slots.enter(network)))
        await asyncio.sleep(0)
    return tasks


def test_a_login_waits_for_at_most_one_of_another_network() -> None:
    async def run() -> list[bool]:
        slots = FairSlots(slots=1)
        assert await slots.enter(CROWD)
        *crowd, home = await queued(slots, *[CROWD] * 20, HOME)
        for _ in range(2):
            slots.leave()
            await asyncio.sleep(0.01)
        states = [home.done(), sum(each.done() for each in crowd) == 1]
        for each in (*crowd, home):
            each.cancel()
        return states

    assert asyncio.run(run()) == [True, True]


def test_if_too_many_wait_the_newest_of_the_largest_network_gives_way() -> None:
    async def run() -> tuple[list[bool], bool, bool]:
        slots = FairSlots(slots=1, most_waiting=3)
        assert await slots.enter(CROWD)
        crowd = await queued(slots, *[CROWD] * 3)
        refused = await slots.enter(CROWD)
        (home,) = await queued(slots, HOME)
        await asyncio.sleep(0.01)
        displaced = [each.done() and not each.result() for each in crowd]
        for _ in range(3):
            slots.leave()
            await asyncio.sleep(0.01)
        return displaced, refused, home.result()

    assert asyncio.run(run()) == ([False, False, True], False, True)


def test_a_network_whose_only_login_waits_keeps_it_and_no_slot_is_lost() -> None:
    async def run() -> tuple[list[bool], list[bool], list[bool]]:
        slots = FairSlots(slots=2, most_waiting=3, wait_s=0.05)
        holding = [await slots.enter(CROWD) for _ in range(2)]
        waiting = await queued(slots, "192.0.2.11", "192.0.2.12", "192.0.2.13")
        newcomers = [await slots.enter(f"192.0.2.{number}") for number in (14, 15, 16)]
        for _ in (*holding, *waiting):
            slots.leave()
            await asyncio.sleep(0)
        return newcomers, await asyncio.gather(*waiting), [await slots.enter(HOME) for _ in holding]

    assert asyncio.run(run()) == ([False] * 3, [True] * 3, [True] * 2)


@pytest.mark.parametrize("end", ["timeout", "cancel"])
def test_a_login_that_stops_waiting_takes_no_slot(end: str) -> None:
    async def run() -> bool:
        slots = FairSlots(slots=1, wait_s=0.01 if end == "timeout" else 10)
        assert await slots.enter(HOME)
        (waiting,) = await queued(slots, HOME)
        if end == "timeout":
            assert not await waiting
        else:
            waiting.cancel()
            await asyncio.sleep(0.01)
        slots.leave()
        return await slots.enter(CROWD)

    assert asyncio.run(run())


def test_a_slot_given_at_the_moment_of_a_cancellation_is_not_lost() -> None:
    async def run() -> bool:
        slots = FairSlots(slots=1, wait_s=0.05)
        assert await slots.enter(HOME)
        (waiting,) = await queued(slots, HOME)
        slots.leave()  # the slot is given, but the task has not run yet
        waiting.cancel()
        await asyncio.sleep(0)
        return await slots.enter(CROWD)

    assert asyncio.run(run())


def test_a_login_gives_its_slot_back_when_its_response_starts() -> None:
    async def run() -> tuple[list[int], int]:
        slots, free = FairSlots(slots=1), []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            free.append(slots.free)
            await send({"type": "http.response.start", "status": 200, "headers": []})
            free.append(slots.free)
            await send({"type": "http.response.body", "body": b""})

        async def send(message: Message) -> None:
            await asyncio.sleep(0)

        scope = {"type": "http", "method": "POST", "path": "/auth/token", "client": (HOME, 1)}
        await LoginQueue(app, slots)(scope, None, send)  # type: ignore[arg-type]
        return free, slots.free

    assert asyncio.run(run()) == ([0, 1], 1)
