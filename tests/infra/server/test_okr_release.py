"""`okr-release`: a release is installed completely or not at all, and the links change atomically."""

import fcntl
import subprocess
import sys
from pathlib import Path

import pytest

from infra.server.okr_release import Host, ReleaseError, install, listing, use
from tests.infra.server.release_wheels import release_wheel

UV = Path(sys.executable).with_name("uv")


@pytest.fixture(autouse=True)
def _no_downloads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_OFFLINE", "1")


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path / "opt", UV, Path(sys.executable))


def test_a_release_is_installed_and_used(host: Host, tmp_path: Path) -> None:
    assert install(host, release_wheel(tmp_path, "1.0")) == "1.0 was installed."
    assert use(host, "1.0", ["current", "blue"]) == "current, blue -> 1.0"
    assert listing(host) == "1.0 current blue"
    answer = subprocess.run([host.root / "current/.venv/bin/okr"], capture_output=True, text=True, check=True)
    assert answer.stdout == "1.0\n"
    assert (host.root / "current").readlink() == Path("releases/1.0")


def test_a_release_moves_with_its_folder(host: Host, tmp_path: Path) -> None:
    """It is built in another folder, so nothing in it may contain this folder's path."""
    install(host, release_wheel(tmp_path, "1.0"))
    python = host.root / "releases/1.0/.venv/bin/python"
    prefix = subprocess.run([python, "-c", "import sys; print(sys.prefix)"], capture_output=True, text=True, check=True)
    assert prefix.stdout.strip() == str(host.root / "releases/1.0/.venv")


def test_a_repeated_installation_changes_nothing(host: Host, tmp_path: Path) -> None:
    wheel = release_wheel(tmp_path, "1.0")
    install(host, wheel)
    before = (host.root / "releases/1.0").stat().st_mtime_ns
    assert install(host, wheel) == "1.0 is already installed."
    assert (host.root / "releases/1.0").stat().st_mtime_ns == before


def test_a_version_has_one_content(host: Host, tmp_path: Path) -> None:
    install(host, release_wheel(tmp_path, "1.0"))
    with pytest.raises(ReleaseError, match=r"1\.0 is already installed, from a wheel with other contents"):
        install(host, release_wheel(tmp_path, "1.0", okr="#!/bin/sh\nexit 0\n"))


def test_the_three_newest_releases_and_those_in_use_are_kept(host: Host, tmp_path: Path) -> None:
    install(host, release_wheel(tmp_path, "1.0"))
    use(host, "1.0", ["blue"])
    for version in ("1.1", "1.2", "1.3"):
        assert install(host, release_wheel(tmp_path, version)) == f"{version} was installed."
    assert install(host, release_wheel(tmp_path, "1.4")) == "1.4 was installed. 1.1 was removed."
    use(host, "1.4", ["blue"])
    assert install(host, release_wheel(tmp_path, "1.5")) == "1.5 was installed. 1.2 was removed. 1.0 was removed."
    assert host.installed() == ["1.5", "1.4", "1.3"]


@pytest.mark.parametrize(
    ("faults", "message"),
    [
        ({"okr": "#!/bin/sh\necho broken >&2; exit 1\n"}, r"(?s)/okr --help \.\.\.` failed \(status 1\).*broken"),
        ({"lock": "absent==1.0 --hash=sha256:" + "0" * 64}, r"(?s)failed .*absent"),
        ({"lock": "filelock"}, r"(?s)failed .*hash"),
        ({"lock": None}, r"has no infra/server/requirements\.txt"),
    ],
    ids=["does not start", "package not available", "package without a hash", "no lock"],
)
def test_a_release_that_cannot_be_installed_leaves_nothing(
    host: Host, tmp_path: Path, faults: dict[str, str | None], message: str
) -> None:
    install(host, release_wheel(tmp_path, "1.0"))
    use(host, "1.0", ["current"])
    with pytest.raises(ReleaseError, match=message):
        install(host, release_wheel(tmp_path, "1.1", **faults))  # type: ignore[arg-type]
    assert listing(host) == "1.0 current"
    assert sorted(path.name for path in host.releases.iterdir()) == [".lock", "1.0"]


def test_what_an_interrupted_installation_left_is_removed(host: Host, tmp_path: Path) -> None:
    (host.releases / ".new-1.0" / ".venv").mkdir(parents=True)
    (host.releases / ".old-0.9").mkdir()
    assert listing(host) == "No release is installed."
    install(host, release_wheel(tmp_path, "1.0"))
    assert sorted(path.name for path in host.releases.iterdir()) == [".lock", "1.0"]


def test_two_commands_do_not_run_at_the_same_time(host: Host, tmp_path: Path) -> None:
    with host.locked(), pytest.raises(ReleaseError, match="Another okr-release is running"):
        install(host, release_wheel(tmp_path, "1.0"))
    with (host.releases / ".lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # it is free again


@pytest.mark.parametrize("version", ["2.0", ".new-1.0", "../releases/1.0"])
def test_only_an_installed_release_can_be_used(host: Host, tmp_path: Path, version: str) -> None:
    install(host, release_wheel(tmp_path, "1.0"))
    with pytest.raises(ReleaseError, match=r"is not installed\. Installed: 1\.0\."):
        use(host, version, ["current"])
    with pytest.raises(ReleaseError, match=r"red is not a link\. Expected current, blue, green\."):
        use(host, "1.0", ["red"])
    assert host.links() == {}


def test_a_file_that_is_not_a_release_is_refused(host: Host, tmp_path: Path) -> None:
    other = tmp_path / "okr_lakehouse-1.0-py3-none-any.whl"
    other.write_text("text", encoding="ascii")
    with pytest.raises(ReleaseError, match="is not a wheel"):
        install(host, other)
    with pytest.raises(ReleaseError, match="is not a wheel"):
        install(host, tmp_path / "okr_lakehouse-1.0.tar.gz")
