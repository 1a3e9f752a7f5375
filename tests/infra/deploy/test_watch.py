"""A release that does not answer is noticed, even if each probe takes so long that there are few of them."""

from types import SimpleNamespace

import pytest

from infra.deploy.api_client import Requests
from infra.deploy.host import Limits
from infra.deploy.watch import FAILED_IN_A_ROW, Breach, watch


def test_a_few_failed_probes_in_a_row_are_enough() -> None:
    probes = []
    proxy = SimpleNamespace(is_ready=lambda: bool(probes.append(1)))
    colour = SimpleNamespace(requests=lambda token: Requests(0.0, 0.0, {}))
    with pytest.raises(Breach, match="failed 5 probes"):
        watch(colour, proxy, Limits(watch_s=3600, min_requests=10_000), "token")
    assert len(probes) == FAILED_IN_A_ROW


def test_single_failed_probes_are_a_share() -> None:
    answers = iter([True, False] * 1000)
    proxy = SimpleNamespace(is_ready=lambda: next(answers))
    colour = SimpleNamespace(requests=lambda token: Requests(0.0, 0.0, {}))
    seen = watch(colour, proxy, Limits(watch_s=1, max_error_share=0.9, min_requests=1), "token")
    assert 0.3 < seen.error_share < 0.6
