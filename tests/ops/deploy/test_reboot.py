"""A host reboots: /run is empty, and the link for nginx is made again from the file that `okr deploy` has written."""

import subprocess

from infra.deploy import links
from infra.deploy.units import running_release
from tests.ops.conftest import RequirePrograms
from tests.ops.deploy.conftest import MakeHost
from tests.ops.deploy.load import constant_load
from tests.ops.deploy.releases import install_small
from tests.ops.deploy.test_interrupts import GOLDEN, IMPORTS
from tests.polling import until


def test_after_a_reboot_in_the_middle_of_a_switch_a_colour_that_is_enabled_serves(
    require_programs: RequirePrograms, small_hosts: MakeHost
) -> None:
    require_programs("systemd-tmpfiles")
    with small_hosts() as host:
        for version in ("v1", "v2"):
            install_small(host.host.root, version)
        assert host.deploy("release", "v1", arm=GOLDEN)[0] == 0
        killed = f"{IMPORTS}\nbefore(links, 'replace_link', die, times=2)"  # after the file for the boot was written
        assert host.deploy("release", "v2", arm=killed)[0] == -9
        enabled = [unit for unit in ("okr-api@blue", "okr-api@green") if host.units.pid(unit)]
        assert enabled == ["okr-api@blue", "okr-api@green"]
        for unit in enabled:
            host.units.stop(unit)
        for path in host.host.sockets.iterdir():
            path.unlink()
        # From here on, the host boots.
        subprocess.run(["systemd-tmpfiles", "--create", str(host.host.boot_file)], check=True)
        for unit in enabled:
            host.units.start(unit)
        assert links.serving_colour(host.host) == "green"
        until(host.host.socket("green").exists, "green listens")
        with constant_load(host.host.current_socket) as answers:
            until(lambda: answers.total > 10, "the load runs", pause=0.01)
            status, said = host.deploy("release", "v2", arm=GOLDEN)
            assert status == 0, said
        assert answers.failed() == []
        assert running_release(host.host, host.units, "okr-api@green") == "v2"
        assert running_release(host.host, host.units, "okr-api@blue") is None
