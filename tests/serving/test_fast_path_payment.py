"""On the fast path, a request is charged and recorded once; one that is left to the regular route costs nothing."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from serving.auth.roles import Identity, Right, Role
from serving.fast_path.fast_predict import ById, FastPredict
from serving.fast_path.fast_protocol import Head
from serving.fast_path.prepared_answers import MOST_AT_ONCE, Answered, PreparedAnswers
from serving.limits.rate_limit_enforcement import cost_of
from serving.limits.rate_plan import RatePlan
from serving.limits.token_bucket import LocalBuckets, SharedBuckets
from serving.limits.token_leases import Decision, RateLimiter
from serving.observability import metrics
from serving.observability.bulk_histogram import BulkHistogram
from serving.prediction_log import PredictionLog
from serving.prediction_log.log import LogLimits
from tests.serving.prediction_log.test_prediction_log import event_of

PLAN = RatePlan("slow", 0.001, 100)
APP = Identity("app", Role.SERVICE, None, None, (), frozenset({Right.PREDICT}), "slow", "token:1")
HEAD = Head("Bearer app", None, None)
LARGE, SMALL = LogLimits(16 * 65_536), LogLimits(8_192)


def fail(*_: object) -> None:
    raise RuntimeError("a test's failure")


class FastPath:
    """The fast path, its account's bucket and its log. Key results that begin with "no" have no forecast."""

    def __init__(self, folder: Path, limits: LogLimits = LARGE, note: Callable[..., None] = lambda *_: None) -> None:
        shared = SharedBuckets(redis.Redis(port=9))
        shared.is_available = False
        self.limiter = RateLimiter(shared, LocalBuckets())
        self.prepared: list[str] = []
        self.log = PredictionLog(folder, limits)
        answers = PreparedAnswers(self._answer)
        by_id = ById(lambda: answers, self.log)
        self.fast = FastPredict(
            hosts=frozenset(), recognise=lambda _: APP, charge=self._charge, give_back=self._give_back, observe=note,
            log=note, probabilities=BulkHistogram(metrics.SERVED_PROBABILITY, [0.5]), by_id=by_id,
            by_features=by_id,  # type: ignore[arg-type]
        )  # fmt: skip

    def _answer(self, key_result_id: str) -> Answered | None:
        self.prepared.append(key_result_id)
        if key_result_id.startswith("no"):
            return None
        event, prediction_id = event_of(key_result_id)
        body = f'{{"predictions":[{{"prediction_id":"{prediction_id}"}}]}}'.encode()
        return Answered(body, prediction_id, event, ("3", "champion"), 0.25)

    def _charge(self, identity: Identity, items: int) -> Decision:
        return self.limiter.take(identity.username, PLAN, cost_of(items))

    def _give_back(self, identity: Identity, items: int) -> None:
        self.limiter.give_back(identity.username, PLAN, cost_of(items))

    def ask(self, *key_result_ids: str) -> bool:
        """Return whether a request is answered."""
        return self.fast.answer(HEAD, json.dumps({"key_result_ids": key_result_ids}).encode()) is not None

    def spent(self) -> int:
        """Return what has been paid, before the token that this call takes."""
        return PLAN.burst - self.limiter.take("app", PLAN).remaining - 1


@pytest.fixture
def path(tmp_path: Path) -> Iterator[FastPath]:
    path = FastPath(tmp_path)
    yield path
    path.log.stop()


def test_an_answered_request_is_paid_and_recorded(path: FastPath) -> None:
    assert path.ask(*(f"kr-{number}" for number in range(20)))
    assert (path.spent(), path.log.counts["posted"]) == (2, 20)


def test_a_request_that_the_documented_route_answers_is_not_paid_here(path: FastPath) -> None:
    assert not path.ask("kr-1", "no-forecast")
    assert (path.spent(), path.log.counts["posted"]) == (0, 0)


def test_predictions_that_cannot_be_recorded_are_not_paid_here(tmp_path: Path) -> None:
    path = FastPath(tmp_path, SMALL)
    assert not path.ask("kr-1")
    assert (path.spent(), path.log.counts) == (0, {"not_persisted": 1})


def test_a_recorded_request_is_answered_even_if_it_is_not_counted(tmp_path: Path) -> None:
    path = FastPath(tmp_path, note=fail)
    assert path.ask("kr-1")
    assert (path.spent(), path.log.counts["posted"]) == (1, 1)
    path.log.stop()


def test_nothing_is_prepared_for_those_who_cannot_pay(path: FastPath) -> None:
    path.limiter.take("app", PLAN, PLAN.burst)
    assert not path.ask("kr-1")
    assert path.prepared == []


def test_few_answers_are_prepared_at_once(path: FastPath) -> None:
    wanted = [f"kr-{number}" for number in range(2 * MOST_AT_ONCE + 1)]
    assert [path.ask(*wanted) for _ in range(3)] == [False, False, True]
    assert path.prepared == wanted
    assert path.spent() == cost_of(len(wanted))


def test_no_more_answers_than_that_are_prepared_by_one_request(path: FastPath) -> None:
    path.ask(*(f"kr-{number}" for number in range(1_000)))
    assert len(path.prepared) == MOST_AT_ONCE
