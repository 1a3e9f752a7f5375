import pytest

from lakehouse.retry import Backoff, attempts


def test_pauses_grow_up_to_the_longest_with_jitter() -> None:
    pauses = [[backoff.pause() for _ in range(8)] for backoff in (Backoff(1.0, 10.0) for _ in range(20))]
    for each in pauses:
        for pause, most in zip(each, (1, 2, 4, 8, 10, 10, 10, 10), strict=True):
            assert most / 2 <= pause <= most
    assert len({each[-1] for each in pauses}) > 1


def test_a_success_restarts_with_the_shortest_pause() -> None:
    backoff = Backoff(1.0, 10.0)
    for _ in range(5):
        backoff.pause()
    backoff.reset()
    assert backoff.pause() <= 1.0


def test_attempts_go_on_until_one_succeeds() -> None:
    failures = [ValueError("first"), ValueError("second")]

    def work() -> str:
        if failures:
            raise failures.pop()
        return "done"

    assert attempts(ValueError, 30, pause_s=0.01)(work) == "done"


def test_attempts_raise_the_last_error_after_the_limit_and_any_other_error_immediately() -> None:
    calls: list[int] = []

    def work(error: Exception) -> None:
        calls.append(1)
        raise error

    with pytest.raises(ValueError, match="again"):
        attempts(ValueError, 0.1, pause_s=0.02)(work, ValueError("again"))
    assert len(calls) > 2
    calls.clear()
    with pytest.raises(KeyError):
        attempts(ValueError, 30)(work, KeyError("other"))
    assert len(calls) == 1
