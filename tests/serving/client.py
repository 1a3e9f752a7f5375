"""The application, started and stopped as uvicorn does it, and a client of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from starlette.testclient import TestClient

from lakehouse.settings import Settings
from serving.app import create_app
from serving.services import build_services


@dataclass(frozen=True)
class Api:
    """A client of the running application, and the settings that it runs with."""

    client: TestClient
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
        """Begin a session of a page."""
        form = {"username": username, "password": self.settings.require(f"{username}_password")}
        assert self.client.post("/login", data=form, follow_redirects=False).status_code == 303


@contextmanager
def serving(settings: Settings) -> Iterator[Api]:
    """Run the application on settings; each client has cookies of its own."""
    app = create_app(build_services(settings))
    with TestClient(app, base_url="http://127.0.0.1:8000", raise_server_exceptions=False) as client:
        yield Api(client, settings)
