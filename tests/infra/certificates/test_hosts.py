"""The certificates of hosts: openssl accepts each for its names and uses, and a second run keeps valid ones."""

import re
import stat
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from infra.certificates import hosts as certificates
from infra.certificates.hosts import Hosts, issue
from infra.local.executables import ROOT
from lakehouse.errors import PermanentError

EDGE, APP, DATA, PUBLIC = "edge.example.org", "app.example.org", "data.example.org", "okr.example.org"
HOSTS = Hosts(PUBLIC, [EDGE], [APP], [DATA], ["monitoring.example.org"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    issue(tmp_path / "ca", HOSTS, print)
    return tmp_path / "ca"


def openssl(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False, timeout=30)


@pytest.mark.parametrize(
    ("file", "host", "purpose"),
    [
        (f"{EDGE}/certificate.pem", PUBLIC, "sslserver"),
        (f"{EDGE}/internal.pem", "okr-api", "sslserver"),
        (f"{EDGE}/internal.pem", "okr-api", "sslclient"),
        (f"{APP}/internal.pem", "okr-api", "sslserver"),
        (f"{APP}/internal.pem", APP, "sslserver"),
        ("client.pem", "okr-client", "sslclient"),
        (f"{DATA}/postgres.pem", DATA, "sslserver"),
        (f"{DATA}/redis.pem", DATA, "sslserver"),
        (f"{DATA}/kafka.pem", DATA, "sslserver"),
        (f"{DATA}/metrics.pem", DATA, "sslserver"),
        ("monitoring.pem", "okr-monitoring", "sslclient"),
    ],
)
def test_openssl_accepts_each_certificate_only_for_its_name(folder: Path, file: str, host: str, purpose: str) -> None:
    verify = ("verify", "-x509_strict", "-CAfile", folder / "ca.pem", "-purpose", purpose)
    accepted = openssl(*verify, "-verify_hostname", host, folder / file)
    assert accepted.returncode == 0, accepted.stderr
    assert openssl(*verify, "-verify_hostname", "other.example.org", folder / file).returncode != 0


def test_a_server_cannot_pose_as_a_client(folder: Path) -> None:
    refused = openssl("verify", "-CAfile", folder / "ca.pem", "-purpose", "sslclient", folder / DATA / "redis.pem")
    assert "unsuitable certificate purpose" in refused.stderr


def test_kafka_gets_its_key_first_in_the_form_that_it_reads(folder: Path) -> None:
    text = (folder / DATA / "kafka.pem").read_text(encoding="ascii")
    assert text.startswith("-----BEGIN PRIVATE KEY-----\n")
    assert text.rstrip().endswith("-----END CERTIFICATE-----")


def test_nobody_else_can_read_the_keys(folder: Path) -> None:
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*")} == {0o600, 0o700}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_second_run_keeps_valid_certificates_and_adds_a_host(folder: Path) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*.pem")}
    issue(folder, Hosts(PUBLIC, [EDGE], [APP, "app2.example.org"], [DATA]), print)
    assert {path: path.read_bytes() for path in before} == before
    assert (folder / "app2.example.org" / "internal.pem").is_file()


def test_certificates_that_end_soon_or_have_another_authority_are_replaced(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [path for path in folder.rglob("*.pem") if path.name != "ca.pem" and not path.name.endswith("key.pem")]
    before = {path: path.read_bytes() for path in files}
    monkeypatch.setattr(certificates, "RENEWAL", certificates.LIFE + timedelta(days=1))
    issue(folder, HOSTS, print)
    renewed = {path: path.read_bytes() for path in files}
    assert not [path for path in files if renewed[path] == before[path]]
    monkeypatch.undo()
    (folder / "ca.pem").unlink()
    issue(folder, HOSTS, print)
    assert not [path for path in files if path.read_bytes() == renewed[path]]


def test_certificates_that_would_outlive_their_authority_are_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificates, "LIFE", certificates.AUTHORITY_LIFE + timedelta(days=1))
    with pytest.raises(PermanentError, match=r"ends soon.*replace an authority"):
        issue(folder, HOSTS, print)


def test_the_command_of_the_installation_page_makes_all_files_of_its_table(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "installation.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"<!-- run: certificates -->\n```\n(.*?)```", page, re.DOTALL)
    command = command.replace(".venv/bin/", f"{ROOT}/.venv/bin/")
    done = subprocess.run(
        ["bash", "-euc", command], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stdout.endswith("All certificates in ca are valid for more than 60 days.\n"), done.stderr
    named = {
        name
        for row in re.findall(r"^\| `.*?\.pem.*$", page, re.MULTILINE)
        for name in re.findall(r"[a-z-]+\.pem", row.split("|")[1])
    }
    assert {file.name for file in (tmp_path / "ca").rglob("*.pem")} == named | {"ca-key.pem"}
