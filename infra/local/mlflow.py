"""MLflow's server, which provides a web page behind a login. The project's code uses the store without the server."""

from typing import ClassVar
from urllib.parse import urlsplit

from infra.local.base_service import Service, platform_environment
from infra.local.executables import program
from infra.local.http_check import get_text
from infra.local.ports import LOOPBACK
from infra.local.stack import Stack
from lakehouse.warehouse import sqlalchemy_url

PATH = "/mlflow"  # behind nginx


def _is_behind_nginx(stack: Stack) -> bool:
    return urlsplit(stack.env.get("OKR_MLFLOW_URL", "")).path == PATH


def _allowed_by(stack: Stack) -> dict[str, str]:
    """Return the settings with which MLflow accepts requests of pages at the address of nginx."""
    if not _is_behind_nginx(stack):
        return {}
    hosts = ("localhost", "localhost:*", LOOPBACK, f"{LOOPBACK}:*", urlsplit(stack.public_url).netloc)
    return {
        "MLFLOW_SERVER_ALLOWED_HOSTS": ",".join(hosts),
        "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": stack.public_url.rstrip("/"),
    }


def mlflow_environment(stack: Stack) -> dict[str, str]:
    """Return the environment of MLflow's processes, including secrets, which any user could read on a command line."""
    return (
        _allowed_by(stack)
        | platform_environment(stack, secrets=())
        | {
            "MLFLOW_BACKEND_STORE_URI": sqlalchemy_url(
                stack.env["OKR_MLFLOW_STORE_URI"], "mlflow", driver="psycopg2", limits=None
            ),
            "MLFLOW_AUTH_ADMIN_USERNAME": stack.env["OKR_MLFLOW_USER"],
            "MLFLOW_AUTH_ADMIN_PASSWORD": stack.env["OKR_MLFLOW_PASSWORD"],
            "MLFLOW_FLASK_SERVER_SECRET_KEY": stack.env["OKR_MLFLOW_FLASK_SECRET"],
            # MLflow's job runners, which the project does not use, would double its start-up time and memory.
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "PYTHONWARNINGS": "ignore",
        }
    )


class Mlflow(Service):
    """The tracking server, with basic authentication and one worker."""

    name: ClassVar[str] = "mlflow"
    code: ClassVar[tuple[str, ...]] = ("infra/local/mlflow.py",)
    needs: ClassVar[tuple[str, ...]] = ("mlflow-database",)
    start_limit_seconds: ClassVar[int] = 240  # a start takes seconds on an idle machine, but minutes on a busy one

    def prepare(self) -> None:
        """Create the artifact folder, and make the server recreate its login from stack.env."""
        self.stack.folder("mlflow")
        (self.working_folder() / "basic_auth.db").unlink(missing_ok=True)

    def command(self) -> list[str]:
        """Return the server's command line."""
        return [
            program("mlflow"), "server", "--app-name", "basic-auth", "--host", LOOPBACK,
            "--port", str(self.stack.port("mlflow")), "--workers", "1",
            "--uvicorn-opts", "--no-access-log",  # it has addresses, paths and queries of callers
            "--serve-artifacts", "--artifacts-destination", self.stack.env["OKR_MLFLOW_ARTIFACTS"],
            *(["--static-prefix", PATH] if _is_behind_nginx(self.stack) else []),
        ]  # fmt: skip

    def environment(self) -> dict[str, str]:
        """Return MLflow's environment."""
        return mlflow_environment(self.stack)

    def check(self) -> None:
        """Check that the server reports itself as healthy."""
        get_text(f"{self.stack.env['OKR_MLFLOW_URL']}/health")
