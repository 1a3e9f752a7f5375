"""The live figures as plain values, for tests that compare all of them at once."""

from typing import TYPE_CHECKING, Any

from ingestion.state.redis_figures import read_live

if TYPE_CHECKING:
    from redis import Redis


def read_figures(redis: "Redis") -> dict[str, Any]:
    """Return the values of `read_live` without their times, and the lags by group as `consumer_lag`."""
    figures, lags = read_live(redis)
    return {
        **{name: figure.value for name, figure in figures.items()},
        "consumer_lag": {group: figure.value for group, figure in lags.items()},
    }
