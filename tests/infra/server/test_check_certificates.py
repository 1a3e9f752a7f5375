"""The daily check of certificates sees those of all servers of a host. A failed unit is an alert (UnitFailed)."""

import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from infra.certificates.issue import Issuer, Request, new_authority, new_certificate, read_issuer

SCRIPT = Path("infra/server/files/check-certificates")
FILES = ("okr/tls/metrics.pem", "postgresql/tls/server.pem", "redis/tls/server.pem", "kafka/tls/server.pem")


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    new_authority(tmp_path / "ca.pem", tmp_path / "ca-key.pem", "Test", timedelta(days=900))
    return read_issuer(tmp_path / "ca.pem", tmp_path / "ca-key.pem")


def checked(etc: Path) -> "subprocess.CompletedProcess[str]":
    """Run the check for the files in another folder than /etc."""
    script = SCRIPT.read_text(encoding="utf-8").replace("/etc/", f"{etc}/")
    return subprocess.run(["sh", "-s", "21"], input=script, capture_output=True, text=True, check=False)


def issue(issuer: Issuer, etc: Path, name: str, days: int) -> None:
    file = etc / name
    file.parent.mkdir(parents=True, exist_ok=True)
    key = file if "kafka" in name else file.with_name(f"{file.stem}-key.pem")
    new_certificate(file, key, issuer, Request("host", ("host",)), timedelta(days=days))


@pytest.mark.parametrize("expiring", FILES)
def test_a_certificate_of_any_server_that_expires_soon_is_named(tmp_path: Path, issuer: Issuer, expiring: str) -> None:
    for name in FILES:
        issue(issuer, tmp_path / "etc", name, 90)
    assert (checked(tmp_path / "etc").returncode, checked(tmp_path / "etc").stderr) == (0, "")
    issue(issuer, tmp_path / "etc", expiring, 10)
    found = checked(tmp_path / "etc")
    assert found.returncode == 1
    assert f"{tmp_path}/etc/{expiring} expires within 21 days" in found.stderr
    assert len(found.stderr.splitlines()) == 1


def test_a_host_without_these_servers_has_only_its_own(tmp_path: Path, issuer: Issuer) -> None:
    issue(issuer, tmp_path / "etc", "okr/tls/metrics.pem", 90)
    assert (checked(tmp_path / "etc").returncode, checked(tmp_path / "etc").stderr) == (0, "")
