"""`okr serve`: the API and the scorecard page, and the commands that operate the API."""

from pathlib import Path
from typing import Annotated

import typer

from serving.admin.forecast_cache.commands import app as forecast_cache_app
from serving.admin.models.commands import app as model_app
from serving.admin.rate_plans.commands import app as rate_plan_app
from serving.auth import account_commands, credential_commands
from serving.dag_runs.commands import app as dag_app
from serving.experiments.commands import app as experiment_app

app = typer.Typer()
app.add_typer(account_commands.app, name="account")
app.add_typer(credential_commands.api_keys, name="api-key")
app.add_typer(credential_commands.auth, name="auth")
app.add_typer(credential_commands.audit, name="audit")
app.add_typer(experiment_app, name="experiment")
app.add_typer(model_app, name="model")
app.add_typer(dag_app, name="dag")
app.add_typer(rate_plan_app, name="rate-plan")
app.add_typer(forecast_cache_app, name="forecast-cache")


@app.command()
def serve(
    workers: Annotated[
        int | None, typer.Option(min=1, max=256, help="Number of processes; default: OKR_API_WORKERS.")
    ] = None,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Listen on this address; in a container, on 0.0.0.0.")
    ] = "127.0.0.1",
    uds: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Listen on this UNIX socket, for a proxy, instead of a port.")
    ] = None,
    uds_group: Annotated[
        str | None, typer.Option(metavar="GROUP", help="Group that may connect to the socket; default: this process's.")
    ] = None,
) -> None:
    """Serve the API and the scorecard page on 127.0.0.1, port $OKR_API_PORT.

    On SIGTERM, it completes the accepted requests and stops. SIGHUP replaces the workers one by one.
    """
    from lakehouse.logs import configure_logging
    from lakehouse.settings import load_settings
    from serving.observability.metrics_folder import prepare_folder
    from serving.processes.unix_socket import listen_on

    settings = load_settings()
    configure_logging(as_json=settings.log_json)
    settings.require_all("admin_password", "lead_password", "app_password", "mlflow_store_uri", "jwt_secret")
    settings.require_all("dsn_serving", "dsn_organisation", "redis_url", "kafka_bootstrap")
    # First, because it fails if another process listens there, whose metrics must stay.
    listener = listen_on(uds, uds_group) if uds else None
    prepare_folder(settings.state, uds.stem if uds else settings.require("api_port"))

    from serving.processes.supervisor import run  # imports prometheus_client

    run(settings, workers or settings.api_workers, listener, host=host)
