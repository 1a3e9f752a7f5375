"""`.ci/scan` finds planted faults, passes without them, and says when it could not run."""

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
# Put together, so that the scan of this repository does not find it.
TOKEN = "ghp_" + "016C7kAuP3x9Zq2LmNvB8RtYwE4sHdJfKoVi"


def scan(root: Path, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, str(ROOT / ".ci" / "scan"), "--root", str(root), *arguments],
        env=os.environ | variables, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_unsafe_code_is_found(tmp_path: Path) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    code = tmp_path / "infra" / "unsafe.py"
    code.parent.mkdir()
    code.write_text("import subprocess\n\nsubprocess.run('ls ' + input(), shell=True)\n")
    failed = scan(tmp_path, "code")
    assert failed.returncode == 1, failed.stderr
    assert "code: FAILED" in failed.stdout
    assert "unsafe.py:3: B602" in failed.stdout
    code.write_text("print('safe')\n")
    assert scan(tmp_path, "code").returncode == 0


def git(folder: Path, *words: str) -> None:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "-C", str(folder), *identity, *words], check=True, capture_output=True)


def test_a_secret_in_an_earlier_commit_is_found(tmp_path: Path) -> None:
    git(tmp_path, "init")
    file = tmp_path / "settings.py"
    file.write_text("NAME = 'okr'\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "one")
    passed = scan(tmp_path, "secrets")
    assert (passed.returncode, passed.stdout) == (0, "secrets: passed, 1 commits, no secrets\n"), passed.stdout
    for text, message in ((f"TOKEN = '{TOKEN}'\n", "two"), ("NAME = 'okr'\n", "three")):
        file.write_text(text)
        git(tmp_path, "commit", "-am", message)
    failed = scan(tmp_path, "secrets")
    assert failed.returncode == 1
    assert "settings.py" in failed.stdout
    assert TOKEN not in failed.stdout


def test_a_licence_that_is_not_allowed_is_found(tmp_path: Path) -> None:
    (tmp_path / ".ci").mkdir()
    allowed = (ROOT / ".ci" / "licences.toml").read_text(encoding="utf-8")
    (tmp_path / ".ci" / "licences.toml").write_text(allowed.replace('"BSD License",', ""))
    failed = scan(tmp_path, "licences")
    assert failed.returncode == 1
    assert ": BSD License\n" in failed.stdout


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with one locked package."""
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "dev.txt").write_text(f"jinja2==2.4.1 \\\n    --hash=sha256:{'0' * 64}\n")
    return tmp_path


def test_the_bill_of_materials_has_every_locked_package(project: Path) -> None:
    assert scan(project, "sbom").stdout == "sbom: passed, components: dev 1 (dist/sbom)\n"
    bill = json.loads((project / "dist" / "sbom" / "dev.cdx.json").read_text())
    assert [(each["name"], each["version"]) for each in bill["components"]] == [("jinja2", "2.4.1")]


@contextmanager
def vulnerability_database(answer: dict[str, object]) -> Iterator[str]:
    """A server with the interface of OSV that gives every query the same answer; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            content = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
        server.shutdown()
        thread.join()


def test_known_vulnerabilities_are_found(project: Path) -> None:
    affected = {"package": {"name": "jinja2", "ecosystem": "PyPI"}, "versions": ["2.4.1"],
                "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.8.1"}]}]}  # fmt: skip
    vulnerability = {"id": "PYSEC-2019-220", "summary": "s", "details": "d", "affected": [affected]}
    with vulnerability_database({"vulns": [vulnerability]}) as url:
        failed = scan(project, "vulnerabilities", SCAN_OSV_URL=url)
    assert failed.returncode == 1
    assert "jinja2 2.4.1: PYSEC-2019-220, fixed in: 2.8.1" in failed.stdout, failed.stdout
    with vulnerability_database({}) as url:
        passed = scan(project, "vulnerabilities", "--delivery", SCAN_OSV_URL=url)
    assert (passed.returncode, passed.stdout) == (0, "vulnerabilities: passed, 1 packages, no known vulnerabilities\n")


def test_the_packages_of_every_lock_file_are_looked_up(project: Path) -> None:
    locks = {"airflow": "flask==0.5", "server": "jinja2==2.4.1", "tracking": "six==1.16.0"}
    for name, pin in locks.items():
        (project / "requirements" / f"{name}.txt").write_text(f"{pin} \\\n    --hash=sha256:{'0' * 64}\n")
    with vulnerability_database({}) as url:
        passed = scan(project, "vulnerabilities", "--delivery", SCAN_OSV_URL=url)
    assert passed.stdout == "vulnerabilities: passed, 3 packages, no known vulnerabilities\n"


@pytest.mark.parametrize(("option", "status"), [((), 0), (("--delivery",), 1)])
def test_without_a_database_nothing_is_called_checked(project: Path, option: tuple[str, ...], status: int) -> None:
    done = scan(project, "vulnerabilities", *option, SCAN_OSV_URL="http://127.0.0.1:9/v1/query")
    assert done.returncode == status
    assert done.stdout.startswith("vulnerabilities: NOT CHECKED: database not reachable")
    assert "no known" not in done.stdout
