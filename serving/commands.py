"""`okr serve`: the API and the scorecard page."""

import typer

app = typer.Typer()

HOST = "127.0.0.1"  # loopback only; behind nginx in production
DRAIN_S = 10


@app.command()
def serve() -> None:
    """Serve the API and the scorecard page on 127.0.0.1, at port OKR_API_PORT."""
    import uvicorn

    from lakehouse.logs import configure_logging
    from lakehouse.settings import load_settings
    from serving.app import create_app
    from serving.services import build_services

    settings = load_settings()
    configure_logging(as_json=settings.log_json)
    port = int(settings.require("api_port"))
    settings.require_all("admin_password", "lead_password", "app_password", "mlflow_store_uri")
    uvicorn.run(
        create_app(build_services(settings)),
        host=HOST,
        port=port,
        access_log=False,  # request_guard logs the route of each request instead of its path
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=DRAIN_S,
        log_level="warning",
    )
