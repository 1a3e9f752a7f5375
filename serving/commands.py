"""`okr serve`: the API and the scorecard page, and the commands of its accounts, credentials and experiments."""

from typing import Annotated

import typer

from serving.auth import account_commands, credential_commands
from serving.experiments.commands import app as experiment_app

app = typer.Typer()
app.add_typer(account_commands.app, name="account")
app.add_typer(credential_commands.api_keys, name="api-key")
app.add_typer(credential_commands.auth, name="auth")
app.add_typer(credential_commands.audit, name="audit")
app.add_typer(experiment_app, name="experiment")


@app.command()
def serve(
    workers: Annotated[
        int | None, typer.Option(min=1, max=256, help="Number of processes; by default, OKR_API_WORKERS or 1.")
    ] = None,
) -> None:
    """Serve the API and the scorecard page on 127.0.0.1, port $OKR_API_PORT.

    On SIGTERM, it completes the accepted requests and stops. SIGHUP replaces the workers one by one.
    """
    from lakehouse.logs import configure_logging
    from lakehouse.settings import load_settings
    from serving.metrics_folder import prepare_folder

    settings = load_settings()
    configure_logging(as_json=settings.log_json)
    settings.require_all("admin_password", "lead_password", "app_password", "mlflow_store_uri", "jwt_secret")
    settings.require_all("dsn_serving", "redis_url", "kafka_bootstrap")
    prepare_folder(settings.state, int(settings.require("api_port")))

    from serving.supervisor import run  # imports prometheus_client

    run(settings, workers or settings.api_workers)
