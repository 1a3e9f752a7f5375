"""A host with a firewall and without services: the data host of the example inventory, on a network of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ops.server.conftest import FIRST, Server, container, wheel
from tests.ops.server.test_inventory import DATA, VAULT, write_inventory

pytestmark = pytest.mark.timeout(600)
UNIT = "firewall-okr.service"


@pytest.fixture(scope="module")
def data_host(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The provisioned host."""
    write_inventory(wheels / "example", VAULT)
    with container(tmp_path_factory.mktemp("data"), wheels, {}, own_network=True) as server:
        result = provision(server, okr_wheel=wheel(FIRST))
        assert result["failed"] == 0
        yield server


def provision(server: Server, *arguments: str, **variables: object) -> dict[str, int]:
    """Run the playbook for this host of the example inventory, without exporters: the container reaches no mirror."""
    variables |= {"okr_exporters": []}
    return server.provision("--limit", DATA, *arguments, inventory="example/inventory.yml", **variables)


def rules(server: Server) -> str:
    """Return the rules that are loaded."""
    return server.machine.run("nft", "--stateless", "list", "table", "inet", "okr_firewall", check=False).stdout


def test_a_host_without_units_has_only_the_check_of_certificates(data_host: Server) -> None:
    assert data_host.is_active("okr-certificates.timer", "okr.target")
    units = data_host.machine.output(
        "systemctl", "list-units", "--all", "--plain", "--no-legend", "okr-*.service", "okr-*.timer"
    )
    assert {line.split()[0] for line in units.splitlines()} <= {"okr-certificates.service", "okr-certificates.timer"}
    assert data_host.machine.output("ls", "/etc/okr/secrets") == ""


def test_the_rules_of_its_zone_are_loaded_by_a_unit_without_the_sandbox_of_services(data_host: Server) -> None:
    assert "ip saddr @app_4 tcp dport 5432" in rules(data_host)
    assert data_host.is_active(UNIT)
    assert data_host.machine.property(UNIT, "DropInPaths") == ""
    assert data_host.machine.property(UNIT, "CapabilityBoundingSet") == "cap_net_admin"


def test_what_the_inventory_no_longer_names_is_removed(data_host: Server) -> None:
    """And the firewall stays as it is."""
    data_host.machine.run("systemctl", "enable", "okr-guard", "okr-land@2")
    data_host.machine.run("systemctl", "enable", "--now", "okr-maintenance.timer")
    data_host.write("/etc/okr/secrets/okr_pg_superuser_dsn", "postgresql://")
    result = provision(data_host, "--tags", "settings,units,firewall")
    assert result["changed"] == 2, "the units, and the secret"
    assert not data_host.is_active("okr-maintenance.timer")
    enabled = data_host.machine.run(
        "systemctl", "is-enabled", "okr-guard", "okr-land@2", "okr-maintenance.timer", check=False
    )
    assert enabled.stdout.split() == ["disabled"] * 3
    assert data_host.machine.output("ls", "/etc/okr/secrets") == ""


def test_the_order_of_services_would_keep_it_from_the_network(data_host: Server) -> None:
    """The settings of all units okr-* (okr-.service.d) contradict those of a firewall, so it is not one of them."""
    service, folder = "okr-firewall.service", "/run/systemd/system"
    data_host.machine.run("cp", f"/etc/systemd/system/{UNIT}", f"{folder}/{service}")
    verify = ("systemd-analyze", "verify", "--man=no", "systemd-networkd.service", "network-online.target")
    assert "ordering cycle" not in data_host.machine.run(*verify, UNIT, check=False).stderr
    assert "ordering cycle" in data_host.machine.run(*verify, service, check=False).stderr
    data_host.machine.run("rm", f"{folder}/{service}")


def test_at_boot_the_rules_are_loaded_before_the_network(data_host: Server) -> None:
    data_host.machine.run("systemctl", "enable", "systemd-networkd")
    data_host.machine.run("systemctl", "disable", "systemd-networkd-wait-online")  # this network has no interface
    before = rules(data_host)
    data_host.machine.reboot()
    assert rules(data_host) == before
    assert data_host.is_active(UNIT, "systemd-networkd", "okr.target")
    loaded, network = (
        int(data_host.machine.property(unit, "ActiveEnterTimestampMonotonic")) for unit in (UNIT, "systemd-networkd")
    )
    assert 0 < loaded < network
    assert "ordering cycle" not in data_host.machine.output("journalctl", "--boot", "--no-pager", "--output", "cat")
