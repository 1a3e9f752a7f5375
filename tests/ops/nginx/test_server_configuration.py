"""nginx accepts the configuration of a server, with everything that the settings can turn on."""

import subprocess
from dataclasses import replace
from pathlib import Path

from infra.nginx.apply import nginx_program
from infra.nginx.server_site import server_site
from infra.nginx.site import configuration
from lakehouse.settings import Settings
from tests.ops.nginx.proxies import Host


def test_nginx_accepts_the_configuration_of_a_server_without_a_warning(host: Host, tmp_path: Path) -> None:
    issued, internal = (host.authority.issue(name, ("okr.example.org",)) for name in ("of-server", "of-internal"))
    settings = Settings(
        api_url="https://okr.example.org", airflow_url="https://localhost:8443/airflow",
        mlflow_url="http://127.0.0.1:5000/mlflow", sites_dir=Path("/var/lib/okr/sites"),
        proxy_certificate=issued.certificate, proxy_key=issued.key, proxy_internal_certificate=internal.certificate,
        proxy_internal_key=internal.key, ca_file=str(host.authority.file), proxy_internal_port=8443,
        proxy_hosts="127.0.0.1:8443,127.0.0.1:8444", client_certificate=str(internal.certificate),
        proxy_client_key=internal.key,
    )  # fmt: skip
    site = replace(
        server_site(settings), temporary_folder=tmp_path, pid_file=tmp_path / "pid", access_log=tmp_path / "log",
        error_log=tmp_path / "log",
    )  # fmt: skip
    (tmp_path / "nginx.conf").write_text(configuration(site), encoding="utf-8")
    result = subprocess.run(
        [nginx_program(), "-e", "stderr", "-t", "-c", tmp_path / "nginx.conf"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "[warn]" not in result.stderr, result.stderr
