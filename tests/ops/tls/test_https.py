"""HTTPS to Airflow and MLflow behind nginx with a certificate of our own authority."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from pydantic import SecretStr

from ingestion.landing.announce import AirflowAssets
from lakehouse.client_tls import ClientTls
from lakehouse.errors import OkrError
from lakehouse.settings import Settings
from ml.champion import _NoResponseError, _query_server
from serving.dag_runs.airflow import Airflow
from tests.ops.certificates import CertificateAuthority


def announce(settings: Settings) -> object:
    """Announce landed events as the landing worker does. A run is queued, so there is nothing to announce."""
    airflow = AirflowAssets(settings.airflow_url, "admin", "password", ClientTls.of(settings))
    try:
        return airflow.announce() is False
    finally:
        airflow._reset()  # closes its connection


def list_dags(settings: Settings) -> object:
    """List the DAGs as the API does."""
    with closing(Airflow(settings)) as airflow:
        return airflow.get("dags")["dags"] == []


def find_champion(settings: Settings) -> object:
    """Look up the champion as commands do."""
    return _query_server(settings) == "7"


CLIENTS: dict[str, Callable[[Settings], object]] = {
    "landing to Airflow": announce, "API to Airflow": list_dags, "commands to MLflow": find_champion,
}  # fmt: skip
FAULTS = {
    "expired": r"The certificate of https://localhost:\d+ has expired\. Renew it on the server",
    "other-host": r"The certificate of https://localhost:\d+ is for another host",
    "plaintext": r"https://localhost:\d+ does not accept TLS\. Is this its plaintext port\?",
}


@pytest.mark.parametrize("client", CLIENTS)
def test_each_client_trusts_the_authority_of_the_settings_and_no_other(
    client: str, nginx_ports: dict[str, int], authority: CertificateAuthority, other_authority: CertificateAuthority
) -> None:
    assert CLIENTS[client](settings_for(nginx_ports["right"], authority.file))
    for ca_file in (other_authority.file, ""):  # without a file, only the authorities of the system are trusted
        expected = r"The certificate of https://localhost:\d+ is not signed by an authority in OKR_CA_FILE"
        with pytest.raises((OkrError, _NoResponseError), match=expected) as raised:
            CLIENTS[client](settings_for(nginx_ports["right"], ca_file))
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("fault", FAULTS)
def test_each_client_says_why_it_refuses_a_server(
    client: str, fault: str, nginx_ports: dict[str, int], authority: CertificateAuthority
) -> None:
    with pytest.raises((OkrError, _NoResponseError), match=FAULTS[fault]):
        CLIENTS[client](settings_for(nginx_ports[fault], authority.file))


@pytest.mark.parametrize("client", CLIENTS)
def test_a_plaintext_client_gets_no_answer_on_the_port_with_tls(
    client: str, nginx_ports: dict[str, int], authority: CertificateAuthority
) -> None:
    with pytest.raises((OkrError, _NoResponseError)):
        CLIENTS[client](settings_for(nginx_ports["right"], authority.file, "http"))


def settings_for(port: int, ca_file: Path | str, scheme: str = "https") -> Settings:
    url = f"{scheme}://localhost:{port}"
    return Settings(
        airflow_url=url, mlflow_url=url, ca_file=str(ca_file), airflow_serving_password=SecretStr("password")
    )
