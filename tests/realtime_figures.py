"""The real-time figures as plain values, for tests that compare all of them at once."""

from typing import TYPE_CHECKING, Any

from ingestion.state.redis_figures import read_live

if TYPE_CHECKING:
    from redis import Redis


def read_figures(redis: "Redis") -> dict[str, Any]:
    """Return the values that `read_live` does, without their times; those of the lags as consumer_lag, by group."""
    figures, lags = read_live(redis)
    return {
        **{name: figure.value for name, figure in figures.items()},
        "consumer_lag": {group: figure.value for group, figure in lags.items()},
    }
