"""Observations that are counted in bulk, compared with those that Prometheus' own histogram counts."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from serving.observability.bulk_histogram import BulkHistogram
from serving.observability.metrics import CountedHistogram

BOUNDS = (0.1, 0.5, 1.0)


def samples(registry: CollectorRegistry) -> dict[tuple[str, str], float]:
    found = [sample for metric in registry.collect() for sample in metric.samples]
    return {(each.name, str(sorted(each.labels.items()))): each.value for each in found if "created" not in each.name}


@settings(max_examples=50)
@given(st.lists(st.tuples(st.sampled_from(["a", "b"]), st.floats(0, 2) | st.sampled_from(BOUNDS)), max_size=30))
def test_counts_in_bulk_are_those_of_single_observations(observed: list[tuple[str, float]]) -> None:
    registries = CollectorRegistry(), CollectorRegistry()
    one, other = [CountedHistogram("x", "x", ("name",), buckets=BOUNDS, registry=each) for each in registries]
    bulk = BulkHistogram(one, BOUNDS)
    exported = 0
    for number, (name, value) in enumerate(observed):
        bulk.observe((name,), value)
        other.labels(name).observe(value)
        if number % 7 == 0:
            exported += sum(bulk.export().values())
    exported += sum(bulk.export().values())
    assert exported == len(observed)
    counted, expected = map(samples, registries)
    assert counted.keys() == expected.keys()
    assert all(math.isclose(counted[name], expected[name]) for name in expected)
