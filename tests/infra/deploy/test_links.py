"""A switch changes three links, each atomically: the file for the boot, the static files, and the socket."""

from pathlib import Path

import pytest

from infra.deploy import links
from infra.deploy.host import Host


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A host with a release for each colour."""
    host = Host(root=tmp_path / "opt", sockets=tmp_path / "run", boot_file=tmp_path / "boot.conf")
    host.sockets.mkdir()
    for colour, version in (("blue", "1.0"), ("green", "1.1")):
        static = host.root / "releases" / version / "static"
        static.mkdir(parents=True)
        (static / "site.css").write_text(version, encoding="utf-8")
        links.assign(host, colour, version)
    return host


def test_static_files_follow_the_colour_that_serves(host: Host) -> None:
    for colour, version in (("blue", "1.0"), ("green", "1.1"), ("blue", "1.0")):
        links.switch(host, colour)
        assert links.serving_colour(host) == colour
        assert (host.root / "serving" / "static" / "site.css").read_text(encoding="utf-8") == version
        assert host.boot_file is not None
        assert f"current.sock - - - - {colour}.sock" in host.boot_file.read_text(encoding="utf-8")


def test_static_files_follow_a_release_that_the_colour_gets_later(host: Host) -> None:
    links.switch(host, "blue")
    links.assign(host, "blue", "1.1")
    assert (host.root / "serving" / "static" / "site.css").read_text(encoding="utf-8") == "1.1"


def test_the_first_deployment_is_undone_without_leaving_a_link(host: Host) -> None:
    links.switch(host, "blue")
    links.switch(host, None)
    assert links.serving_colour(host) is None
    assert not (host.root / "serving").is_symlink()
    assert host.boot_file is not None
    assert "current.sock" not in host.boot_file.read_text(encoding="utf-8")


def test_a_switch_that_cannot_write_the_link_of_the_static_files_leaves_requests_where_they_were(host: Host) -> None:
    links.switch(host, "blue")
    (host.root / ".serving.new").mkdir()  # the name of the new link while it is made
    (host.root / ".serving.new" / "file").touch()
    with pytest.raises(OSError, match="serving"):
        links.switch(host, "green")
    assert links.serving_colour(host) == "blue"
    assert (host.root / "serving").readlink() == Path("blue")
