"""The application on a real server and port, and a client of it."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import uvicorn

from infra.local.ports import choose
from lakehouse.settings import Settings
from serving.app import create_asgi_app
from serving.fast_path.fast_protocol import limited
from serving.limits.slow_clients import ConnectionLimits
from serving.services import Services, build_services
from tests.background_logs import LOGGING_CONFIG

START_S = 60


@dataclass(frozen=True)
class Api:
    """A client of the running application, its services and the settings that it runs with."""

    client: httpx.Client
    services: Services
    settings: Settings

    def token(self, username: str) -> str:
        """Log in as one of the first accounts."""
        password = self.settings.require(f"{username}_password")
        answer = self.client.post("/auth/token", data={"username": username, "password": password})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def headers(self, username: str = "app") -> dict[str, str]:
        """Return the header of a token."""
        return {"Authorization": f"Bearer {self.token(username)}"}

    def log_in(self, username: str = "lead") -> None:
        """Start a browser session."""
        form = {"username": username, "password": self.settings.require(f"{username}_password")}
        assert self.client.post("/login", data=form).status_code == 303


def health_of(api: Api) -> dict[str, Any]:
    """Return the body of /health with the state of each dependency, which needs a login."""
    body: dict[str, Any] = api.client.get("/health", headers=api.headers("app")).json()
    return body


@contextmanager
def serving(settings: Settings, limits: ConnectionLimits = ConnectionLimits()) -> Iterator[Api]:
    """Run the application on a port of its own until the block ends."""
    services, port = build_services(settings), choose(set())
    server = uvicorn.Server(
        uvicorn.Config(
            create_asgi_app(services),
            host="127.0.0.1",
            port=port,
            http=limited(limits),
            ws="none",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            log_config=LOGGING_CONFIG,
        )
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    deadline = time.monotonic() + START_S
    try:
        while not server.started:
            assert thread.is_alive(), "the application did not start; its log says why"
            assert time.monotonic() < deadline, f"the application did not start within {START_S} s"
            time.sleep(0.02)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            yield Api(client, services, settings)
    finally:
        server.should_exit = True
        thread.join(START_S)
