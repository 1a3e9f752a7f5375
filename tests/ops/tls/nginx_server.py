"""nginx with TLS in the place of Airflow and MLflow, with right and wrong certificates."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.local.ports import choose
from tests.ops.certificates import CertificateAuthority, ServerCertificate, expired

START_SECONDS = 10
# The answers of Airflow and MLflow that the clients below need.
ANSWERS = """
    default_type application/json;
    location = /auth/token { return 201 '{"access_token": "token"}'; }
    location = /api/v2/dags/okr_etl_dag/dagRuns { return 200 '{"dag_runs": [{}]}'; }
    location = /api/v2/dags { return 200 '{"dags": []}'; }
    location = /api/2.0/mlflow/registered-models/alias { return 200 '{"model_version": {"version": "7"}}'; }
"""


@contextmanager
def running_nginx(folder: Path, authority: CertificateAuthority) -> Iterator[dict[str, int]]:
    """Yield the ports: with a right certificate, with wrong ones, and without TLS."""
    certificates: dict[str, ServerCertificate | None] = {
        "right": authority.issue("nginx"),
        "expired": authority.issue("nginx-expired", ends_at=expired()),
        "other-host": authority.issue("nginx-other-host", ["airflow.example.org"]),
        "plaintext": None,
    }
    found: dict[str, int] = {}
    for name in certificates:
        found[name] = choose(set(found.values()))
    servers = "".join(_server(found[name], certificate) for name, certificate in certificates.items())
    temporary = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "".join(f"{name}_temp_path {folder}/{name};" for name in temporary)
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/errors;"
        f"events {{}} http {{ access_log off; {paths} {servers} }}",
        encoding="utf-8",
    )
    nginx = shutil.which("nginx") or "nginx"
    process = subprocess.Popen([nginx, "-p", f"{folder}/", "-c", "nginx.conf", "-e", f"{folder}/errors"])
    try:
        deadline = time.monotonic() + START_SECONDS
        while not _answers(found["plaintext"]):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield found
    finally:
        process.terminate()
        process.wait(10)


def _answers(port: int) -> bool:
    """Return whether nginx serves requests. It accepts connections earlier."""
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return connection.recv(4) == b"HTTP"
    except OSError:
        return False


def _server(port: int, certificate: ServerCertificate | None) -> str:
    if certificate is None:
        return f"server {{ listen 127.0.0.1:{port}; {ANSWERS} }}"
    files = f"ssl_certificate {certificate.certificate}; ssl_certificate_key {certificate.key};"
    return f"server {{ listen 127.0.0.1:{port} ssl; {files} {ANSWERS} }}"
