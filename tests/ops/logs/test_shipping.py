"""The journal of a host is shipped to the store without loss, also when the store is away, and is searched there."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jinja2
import pytest

from infra.local.ports import choose
from tests.figures import report
from tests.ops.certificates import CertificateAuthority
from tests.ops.conftest import RequirePrograms, missing
from tests.ops.logs.conftest import Journal, Shipper, Store, values_of
from tests.polling import until

ROOT = Path(__file__).parents[3]


def okr(*arguments: str, state: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `okr logs` as on a server."""
    environment = {"OKR_STATE": str(state), "OKR_SETTINGS": "environment", "PATH": os.environ["PATH"], **variables}
    return subprocess.run(
        [sys.executable, "-I", "-m", "lakehouse.cli", "logs", *arguments], env=environment, cwd=ROOT,
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def arrived(shipper: Shipper, store: Store, lines: int) -> None:
    """Wait until the store has all lines."""

    def are_there() -> bool:
        shipper.keep_running()
        return store.count("count_uniq(number)") == lines

    until(are_there, f"{lines} lines are in the store", seconds=60, pause=0.3)


def test_nothing_is_lost_while_the_store_is_away(journal: Journal, store: Store, tmp_path: Path) -> None:
    """systemd #2877: the shipper ends when the store is away; its unit starts it again, and it continues."""
    shipper = Shipper(journal, store.url, tmp_path / "state")
    journal.write(500)
    for _ in range(3):  # the store does not run yet
        shipper.keep_running()
        time.sleep(0.5)
    assert shipper.starts > 1
    store.start()
    start = time.monotonic()
    arrived(shipper, store, 500)
    first = time.monotonic() - start
    store.stop()
    journal.write(20_000)  # a host goes on logging
    for _ in range(3):
        shipper.keep_running()
        time.sleep(0.3)
    store.start()
    start = time.monotonic()
    arrived(shipper, store, 20_500)
    after = time.monotonic() - start
    shipper.stop()
    journal.write(100)  # the host restarts its shipper
    shipper = Shipper(journal, store.url, tmp_path / "state")
    arrived(shipper, store, 20_600)
    shipper.stop()
    twice = store.count("count()") - 20_600
    report(
        "Shipping of logs", ["what", "figure"],
        [["lines written", "20,600"], ["lines in the store", f"{store.count('count_uniq(number)'):,}"],
         ["lines stored twice", f"{twice}"],
         ["500 lines after the store was started", f"{first:.1f} s"],
         ["20,000 lines after an outage of the store", f"{after:.1f} s"]],
        "The journal of one host to VictoriaLogs.",
    )  # fmt: skip
    assert twice <= 20_600 * 0.05  # a request that failed is repeated as a whole


def test_a_killed_store_keeps_what_it_has_written(journal: Journal, store: Store, tmp_path: Path) -> None:
    """Only the lines of its last second would be missing; their host still has them."""
    store.start()
    shipper = Shipper(journal, store.url, tmp_path / "state")
    journal.write(3_000)
    arrived(shipper, store, 3_000)
    time.sleep(3)
    store.kill()
    journal.write(100)
    store.start()
    arrived(shipper, store, 3_100)
    shipper.stop()


def test_logs_of_all_hosts_are_found_in_the_store(journal: Journal, store: Store, tmp_path: Path) -> None:
    store.start()
    journal.write(5)
    journal.write(1, unit="okr-api@blue.service", request_id="request-1", level="ERROR")
    journal.write(1, unit="okr-api@green.service", request_id="request-10")
    journal.write(1, unit="redis-server.service")
    shipper = Shipper(journal, store.url, tmp_path / "state")
    arrived(shipper, store, 8)
    shipper.stop()
    query = ("--store", "--json", "--since", "1h")
    rows = values_of(okr(*query, state=tmp_path, OKR_LOGS_URL=store.url).stdout)
    assert [row["number"] for row in rows] == list(range(8))
    assert {row["host"] for row in rows} == {"app-1"}
    (row,) = values_of(okr(*query, "--request-id", "request-1", state=tmp_path, OKR_LOGS_URL=store.url).stdout)
    assert (row["service"], row["level"]) == ("api", "ERROR")
    rows = values_of(okr(*query, "--service", "land,redis", state=tmp_path, OKR_LOGS_URL=store.url).stdout)
    assert [row["service"] for row in rows] == ["land"] * 5 + ["redis"]


def test_the_lines_of_all_hosts_can_be_followed(journal: Journal, store: Store, tmp_path: Path) -> None:
    store.start()
    shipper = Shipper(journal, store.url, tmp_path / "state")
    environment = {"OKR_STATE": str(tmp_path), "OKR_SETTINGS": "environment", "OKR_LOGS_URL": store.url}
    command = [
        sys.executable,
        "-I",
        "-m",
        "lakehouse.cli",
        "logs",
        "--store",
        "--follow",
        "--json",
        "--service",
        "land",
    ]
    with subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True) as following:
        found: list[str] = []
        assert following.stdout is not None
        reader = threading.Thread(target=lambda: found.append(following.stdout.readline()), daemon=True)
        reader.start()

        def has_a_line() -> bool:
            shipper.keep_running()
            journal.write(1)
            return bool(found)

        try:
            until(has_a_line, "a line that was written later is shown", seconds=40, pause=0.5)
        finally:
            following.terminate()
            shipper.stop()
    assert json.loads(found[0])["event"] == "landed"


def test_a_store_that_is_away_is_an_error_that_says_what_works_without_it(store: Store, tmp_path: Path) -> None:
    done = okr("--store", state=tmp_path, OKR_LOGS_URL=store.url)
    assert done.returncode == 1
    assert "does not respond" in done.stderr
    assert "Without --store, `okr logs` reads the logs of this host." in done.stderr


def test_the_journal_of_this_host_is_read(journal: Journal, tmp_path: Path) -> None:
    """The command runs journalctl, which here finds a journal of a test."""
    journal.write(3)
    journal.write(1, unit="okr-api@blue.service", level="ERROR", request_id="request-1")
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "journalctl").write_text(
        f'#!/bin/sh\nexec {shutil.which("journalctl")} --directory={journal.folder} "$@"\n', encoding="utf-8"
    )
    (programs / "systemctl").write_text("#!/bin/sh\necho okr-api@.service\necho okr-land@.service\n", encoding="utf-8")
    for each in programs.iterdir():
        each.chmod(0o755)
    path = f"{programs}:{os.environ['PATH']}"
    until(lambda: okr("--json", state=tmp_path, PATH=path).stdout.count("\n") == 4, "the journal has all lines", 20)
    rows = values_of(okr("--json", "--service", "land", "--since", "1h", state=tmp_path, PATH=path).stdout)
    assert [(row["service"], row["number"]) for row in rows] == [("land", 0), ("land", 1), ("land", 2)]
    shown = okr("--level", "ERROR", state=tmp_path, PATH=path).stdout
    assert "ERROR api m: landed number=3 request_id=request-1" in shown
    failed = okr("--service", "apis", state=tmp_path, PATH=path)
    assert "There is no service 'apis'. Known services: api," in failed.stderr


@contextmanager
def nginx(store: Store, authority: CertificateAuthority, folder: Path) -> Iterator[str]:
    """Run nginx with the configuration of the store's host; yield its address."""
    server, port = authority.issue("logs"), choose((store.port,))
    text = (ROOT / "infra/logs/nginx-store.conf").read_text(encoding="utf-8")
    for before, after in {
        "8443": str(port), "9428": str(store.port), "/etc/okr/tls/logs.pem": str(server.certificate),
        "/etc/okr/tls/logs-key.pem": str(server.key), "/etc/okr/tls/ca.pem": str(authority.file),
    }.items():  # fmt: skip
        assert before in text
        text = text.replace(before, after)
    temporary = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "".join(f"{name}_temp_path {folder}/{name};" for name in temporary)
    (folder / "nginx.conf").write_text(f"daemon off; pid {folder}/pid; events {{}} http {{ {paths} {text} }}")
    process = subprocess.Popen(["nginx", "-p", f"{folder}/", "-c", "nginx.conf", "-e", f"{folder}/errors"])
    try:
        until((folder / "pid").exists, "nginx runs", seconds=10)
        yield f"https://localhost:{port}"
    finally:
        process.terminate()
        process.wait(10)


def test_hosts_ship_with_their_certificate_and_cannot_read(
    journal: Journal, store: Store, tmp_path: Path, require_programs: RequirePrograms
) -> None:
    require_programs("nginx")
    store.start()
    authority = CertificateAuthority(tmp_path / "tls")
    client, other = (authority.issue(name, [name], is_client=True) for name in ("okr-client", "okr-api"))
    journal.write(100)
    with nginx(store, authority, tmp_path) as url:

        def options(certificate: object) -> list[str]:
            return [f"--key={certificate.key}", f"--cert={certificate.certificate}", f"--trust={authority.file}"]  # type: ignore[attr-defined]

        shipper = Shipper(journal, url, tmp_path / "state", *options(client))
        arrived(shipper, store, 100)
        shipper.stop()
        refused = Shipper(journal, url, tmp_path / "other", *options(other))
        refused.keep_running()
        until(lambda: "403" in refused.output, "nginx refuses another certificate", seconds=20)
        refused.stop()
        curl = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", authority.file]
        for arguments, status in (
            (["--cert", client.certificate, "--key", client.key, f"{url}/select/logsql/query?query=*"], "404"),
            (["--cert", client.certificate, "--key", client.key, f"{url}/insert/journald/upload"], "403"),
            ([f"{url}/insert/journald/upload"], "400"),
        ):
            assert subprocess.run([*curl, *arguments], capture_output=True, text=True, check=False).stdout == status
    assert store.count("count()") == 100


@pytest.mark.parametrize("url", ["http://127.0.0.1:9428", "https://logs-1.example.org:8443/"])
def test_the_units_are_valid(url: str, tmp_path: Path) -> None:
    """The drop-in of the shipper, rendered as Ansible does, and the unit of the store."""
    environment = jinja2.Environment(autoescape=False, trim_blocks=True)  # noqa: S701 -- a unit file
    environment.filters["regex_replace"] = lambda text, _pattern, _new: text.rstrip("/")
    template = environment.from_string((ROOT / "infra/logs/journal-upload.conf.j2").read_text(encoding="utf-8"))
    files = {"okr_logs_key": "/etc/okr/k", "okr_logs_certificate": "/etc/okr/c", "okr_logs_authority": "/etc/okr/a"}
    unit = Path("/lib/systemd/system/systemd-journal-upload.service")
    if not unit.exists():
        missing("needs Debian's systemd-journal-remote; `.ci/system-packages ops` installs it")
    (tmp_path / "systemd-journal-upload.service").write_text(unit.read_text(encoding="utf-8"), encoding="utf-8")
    folder = tmp_path / "systemd-journal-upload.service.d"
    folder.mkdir()
    (folder / "okr.conf").write_text(template.render(okr_logs_url=url, **files), encoding="utf-8")
    checked = subprocess.run(
        ["systemd-analyze", "verify", tmp_path / "systemd-journal-upload.service"], capture_output=True, text=True,
        check=False, env=os.environ | {"SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
    )  # fmt: skip
    assert (checked.returncode, checked.stderr) == (0, "")
    text = (folder / "okr.conf").read_text(encoding="utf-8")
    assert f"--url={url.rstrip('/')}/insert/journald" in text
    assert ("--key=%d/key.pem" in text) is url.startswith("https")


def test_the_unit_of_the_store_is_sandboxed() -> None:
    checked = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", ROOT / "infra/logs/victoria-logs.service"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout[-400:]


def test_the_program_accepts_the_options_of_the_unit(store: Store) -> None:
    line = next(
        line for line in (ROOT / "infra/logs/victoria-logs.service").read_text(encoding="utf-8").splitlines()
        if line.startswith("ExecStart=")
    )  # fmt: skip
    shown = subprocess.run([store._program, "-help"], capture_output=True, text=True, check=False)
    known = shown.stdout + shown.stderr
    for option in line.split()[1:]:
        assert option.partition("=")[0] in known, option
