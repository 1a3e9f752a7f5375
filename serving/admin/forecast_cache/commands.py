"""`okr forecast-cache`: the forecasts that the workers share in Redis."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from lakehouse.redis_connection import redis_address
from serving.auth.command_context import actor, auth_services

if TYPE_CHECKING:
    from serving.admin.forecast_cache.service import ForecastCacheOperations

app = typer.Typer(no_args_is_help=True, help="Show or clear the forecasts that the API's workers share in Redis.")


@app.command()
def show() -> None:
    """List the cached forecasts, one entry per publication and model version."""
    with _cache() as cache:
        for entry in cache.entries():
            typer.echo(f"{entry.key}\t{entry.bytes:,} bytes\texpires in {entry.expires_in_s} s")


@app.command()
def clear() -> None:
    """Delete the cached forecasts. Workers compute them again when they need them."""
    with _cache() as cache:
        typer.echo(f"Deleted {cache.clear(actor())} entries.")


@contextmanager
def _cache() -> "Iterator[ForecastCacheOperations]":
    from lakehouse.settings import load_settings
    from serving.admin.changes import Changes
    from serving.admin.forecast_cache.service import ForecastCacheOperations
    from serving.predictor.forecast_cache import ForecastCache
    from serving.redis_client import redis_client

    with (
        auth_services() as (services, _),
        redis_client(redis_address(load_settings(), "redis_url"), limit_s=1) as client,
    ):
        yield ForecastCacheOperations(ForecastCache(client), Changes(services.audit))
