"""While a dependency is unavailable, one caller at a time waits for it, and all others fail immediately."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from lakehouse.errors import RetryableError
from serving.processes.connection_gate import ConnectionGate
from tests.polling import until


def passes(gate: ConnectionGate) -> bool:
    try:
        with gate.passing():
            return True
    except RetryableError:
        return False


def held(gate: ConnectionGate, pool: ThreadPoolExecutor, release: threading.Event) -> Callable[[], bool]:
    """Hold a slot in another thread; return a function that tells whether that thread passed."""
    entered = threading.Event()

    def hold() -> None:
        with gate.passing():
            entered.set()
            release.wait(10)

    pool.submit(hold)
    return entered.is_set


def test_callers_beyond_the_slots_wait_for_one_that_becomes_free() -> None:
    gate, release = ConnectionGate("It", 2, 10.0), threading.Event()
    with ThreadPoolExecutor(3) as pool:
        until(held(gate, pool, release), "the first passes")
        until(held(gate, pool, release), "the second passes")
        third = pool.submit(passes, gate)
        time.sleep(0.1)
        assert not third.done()
        release.set()
        assert third.result(10)


def test_a_free_slot_is_given_to_the_caller_that_has_waited_longest() -> None:
    """A new caller, whose thread is already running, does not overtake it."""
    gate, order = ConnectionGate("It", 1, 10.0), list[int]()

    def wait(number: int) -> None:
        with gate.passing():
            order.append(number)

    with ThreadPoolExecutor(8) as pool:
        with gate.passing():
            for number in range(8):
                pool.submit(wait, number)
                until(lambda waiting=number + 1: len(gate._waiting) == waiting, "it waits")
        with gate.passing():  # a new caller queues behind them
            assert order == list(range(8))


def test_callers_that_wait_during_a_short_failure_get_a_slot_afterwards() -> None:
    gate, release = ConnectionGate("It", 1, 10.0), threading.Event()
    with ThreadPoolExecutor(3) as pool:
        until(held(gate, pool, release), "the slot is taken")
        waiting = pool.submit(passes, gate)
        until(lambda: len(gate._waiting) == 1, "another caller waits")
        with gate._lock:  # which keeps the waiting caller from noticing the failure
            gate._fail()
            gate._is_away = False
        release.set()
        assert waiting.result(10)


def test_a_failure_wakes_all_who_wait_and_refuses_new_callers_but_one() -> None:
    gate, release = ConnectionGate("It", 1, 60.0), threading.Event()
    with ThreadPoolExecutor(8) as pool:
        until(held(gate, pool, release), "the slot is taken")
        waiting = [pool.submit(passes, gate) for _ in range(4)]
        time.sleep(0.1)
        gate.report_failure()
        for each in waiting:
            each.result(30)
        trial = threading.Event()
        until(held(gate, pool, trial), "one tries")
        assert [pool.submit(passes, gate).result(30) for _ in range(5)] == [False] * 5
        gate.report_success()
        trial.set()
        release.set()
    assert passes(gate)


def test_a_caller_who_waits_too_long_fails_and_so_do_all_others_until_one_succeeds() -> None:
    gate, release = ConnectionGate("It", 1, 0.1), threading.Event()
    with ThreadPoolExecutor(4) as pool:
        until(held(gate, pool, release), "the slot is taken")
        with pytest.raises(RetryableError, match="It is unavailable"), gate.passing():
            pass
        trial = threading.Event()
        until(held(gate, pool, trial), "one tries")
        gate._wait_s = 60.0
        assert not pool.submit(passes, gate).result(30)
        gate.report_success()
        release.set()
        trial.set()
    assert passes(gate)


def test_a_trial_that_succeeded_holds_a_slot_and_hinders_no_later_trial() -> None:
    gate, release = ConnectionGate("It", 1, 0.0), threading.Event()
    gate.report_failure()
    with ThreadPoolExecutor(1) as pool:
        until(held(gate, pool, release), "one tries")
        gate.report_success()
        assert not passes(gate), "the only slot is taken"
        gate.report_failure()
        assert passes(gate), "another one tries"
        gate.report_success()
        release.set()
    with gate.passing():
        assert not passes(gate), "there is still one slot"
