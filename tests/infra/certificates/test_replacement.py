"""The steps of docs/runbooks/rotate-certificates.md, with folders for hosts: each file arrives where the table of
docs/installation.md puts it, with its mode, and each program loads it afterwards.
"""

import os
import re
import stat
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.runbooks import FOLDER, LOCAL, ROOT, SERVER, lines

PAGE = FOLDER / "rotate-certificates.md"
EDGE, APP, DATA, MONITORING = (f"{name}-1.example.org" for name in ("edge", "app", "data", "monitoring"))
TLS = "etc/okr/tls"
# The programs of the steps. Owners do not exist here; other commands are only noted.
PROGRAMS = {
    "ssh": 'host=${1#*@}; shift; root=hosts/$host; mkdir -p "$root/root"; ROOT=$root "$@"',
    "scp": 'for last; do :; done; host=${last%%:*}; cp "${@:1:$#-1}" "hosts/${host#*@}${last#*:}"',
    "install": 'all=(); for each in "$@"; do [[ $each = /* ]] && each=$PWD_OF_TEST/$ROOT$each; all+=("$each"); done\n'
    'exec /usr/bin/install "${all[@]}"',
    "systemctl": 'echo "systemctl $*" >> $PWD_OF_TEST/calls',
}


class Hosts:
    """Folders for the hosts of an installation, and a shell in which they are its hosts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "bin").mkdir()
        for name, text in PROGRAMS.items():
            program = folder / "bin" / name
            program.write_text(f"#!/bin/bash\nset -e\n{text}\n", encoding="utf-8")
            program.chmod(0o755)
        for host, paths in {EDGE: [TLS], APP: [TLS], MONITORING: [TLS], DATA: [TLS, *_servers()]}.items():
            for path in paths:
                self.root(host, path).mkdir(parents=True)

    def root(self, host: str, path: str = "") -> Path:
        return self.folder / "hosts" / host / path

    def calls(self) -> list[str]:
        file = self.folder / "calls"
        return file.read_text(encoding="utf-8").splitlines() if file.is_file() else []

    def run(self, text: str, host: str = "") -> None:
        variables = os.environ | {
            "PATH": f"{self.folder}/bin:{os.environ['PATH']}", "PWD_OF_TEST": str(self.folder), "ROOT": f"hosts/{host}",
        }  # fmt: skip
        done = subprocess.run(
            ["bash", "-euc", text],
            cwd=self.folder,
            env=variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, f"{text}\n{done.stderr}"

    def run_on(self, host: str, text: str) -> None:
        """Run a command of a server in its folder, without the owners of files."""
        moved = text.removeprefix("sudo ").replace("cd /root", f"cd {self.root(host, 'root')}")
        self.run(re.sub(r"-[og] \w+ ", "", moved), host)


def _servers() -> tuple[str, ...]:
    return ("etc/postgresql/tls", "etc/redis/tls", "etc/kafka/tls")


@pytest.fixture
def hosts(tmp_path: Path) -> Hosts:
    found = Hosts(tmp_path)
    local = [line.text for line in lines(PAGE, "Fix", where=LOCAL)]
    certificates, *copies, playbook = local
    assert "site.yml" in playbook
    found.run(certificates.replace(".venv/bin/", f"{ROOT}/.venv/bin/"))
    found.run("\n".join(copies))
    server = [line.text for line in lines(PAGE, "Fix", where=SERVER)]
    for text in server:
        if text.startswith("sudo sh -c"):
            for host in (EDGE, APP, MONITORING):
                found.run_on(host, text)
        elif text.startswith(("sudo install", "sudo systemctl")):
            found.run_on(DATA, text)
    return found


def _expected() -> Mapping[tuple[str, str], tuple[str, int]]:
    """Return the source and the mode of each file, by host and path, from the table of docs/installation.md."""
    certificates = {
        (EDGE, f"{TLS}/certificate.pem"): f"{EDGE}/certificate.pem",
        (EDGE, f"{TLS}/client.pem"): "client.pem",
        (MONITORING, f"{TLS}/monitoring.pem"): "monitoring.pem",
        **{(host, f"{TLS}/internal.pem"): f"{host}/internal.pem" for host in (EDGE, APP)},
        **{(host, f"{TLS}/metrics.pem"): f"{host}/metrics.pem" for host in (EDGE, APP, DATA, MONITORING)},
        **{(DATA, f"etc/{folder}/tls/server.pem"): f"{DATA}/{name}.pem" for folder, name in SERVERS.items()},
    }
    keys = {
        (EDGE, f"{TLS}/key.pem"): f"{EDGE}/key.pem",
        (MONITORING, f"{TLS}/monitoring-key.pem"): "monitoring-key.pem",
        **{(host, f"{TLS}/internal-key.pem"): f"{host}/internal-key.pem" for host in (EDGE, APP)},
        **{(host, f"{TLS}/metrics-key.pem"): f"{host}/metrics-key.pem" for host in (EDGE, APP, DATA, MONITORING)},
        **{(DATA, f"etc/{folder}/tls/server.key"): f"{DATA}/{name}-key.pem" for folder, name in SERVERS.items()},
    }
    return (
        {place: (source, 0o644) for place, source in certificates.items()}
        | {place: (source, 0o600) for place, source in keys.items()}
        | {(DATA, "etc/kafka/tls/server.pem"): (f"{DATA}/kafka.pem", 0o400)}
    )


SERVERS = {"postgresql": "postgres", "redis": "redis"}


def test_each_file_arrives_where_its_server_reads_it(hosts: Hosts) -> None:
    for (host, path), (source, mode) in _expected().items():
        file = hosts.root(host, path)
        assert file.read_bytes() == (hosts.folder / "ca" / source).read_bytes(), f"{host}: {path}"
        assert stat.S_IMODE(file.stat().st_mode) == mode, f"{host}: {path}"
    arrived = {
        (host, str(file.relative_to(hosts.root(host))))
        for host in (EDGE, APP, DATA, MONITORING)
        for file in hosts.root(host, "etc").rglob("*.pem")
    }
    assert arrived <= _expected().keys(), "nothing else arrives, above all no key of the authority or of client.pem"
    sources = {source for source, _ in _expected().values()}
    issued = {str(file.relative_to(hosts.folder / "ca")) for file in (hosts.folder / "ca").rglob("*.pem")}
    assert issued - sources == {"ca.pem", "ca-key.pem", "client-key.pem"}


def test_servers_load_their_files_after_these_were_replaced(hosts: Hosts) -> None:
    assert hosts.calls()[:3] == [
        "systemctl reload postgresql",
        "systemctl restart redis-server",
        "systemctl restart kafka",
    ]
    texts = [line.text for line in lines(PAGE, "Fix", where=SERVER)]
    for server, program in (("postgresql", "postgresql"), ("redis", "redis-server"), ("kafka", "kafka")):
        last = max(number for number, text in enumerate(texts) if f"/etc/{server}/tls/" in text)
        assert texts[last + 1].endswith(program)


def test_the_key_of_clients_is_in_the_vault_before_the_certificate_is_copied() -> None:
    text = PAGE.read_text(encoding="utf-8")
    steps = ["--client-key ca/client-key.pem", "scp ca/client.pem", "site.yml", "okr deploy restart"]
    assert [*sorted(steps, key=text.index)] == steps


def test_the_paths_of_servers_are_those_of_the_installation() -> None:
    installed = (ROOT / "docs" / "installation.md").read_text(encoding="utf-8")
    seen = 0
    for line in lines(PAGE, "Fix", where=SERVER):
        if match := re.fullmatch(
            r"sudo (install .*) /root/certificates/(\S+ /etc/(?:postgresql|redis|kafka)/.*)", line.text
        ):
            seen += 1
            assert f"{match[1]} {match[2]}" in installed, line
    assert seen == 5
