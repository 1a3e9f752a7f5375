"""The rules of a host contain the flows of its zones and nothing else; invalid files are rejected with all errors."""

from pathlib import Path

import pytest

from infra.firewall.flow_table import FILE, flow_table, markdown
from infra.firewall.host_networks import read_networks
from infra.firewall.ruleset import ruleset
from lakehouse.errors import PermanentError

ROOT = Path(__file__).parents[3]
EXAMPLE = FILE.with_name("firewall.example.toml")


def test_the_docs_have_the_table_of_flows() -> None:
    page = (ROOT / "docs" / "firewall.md").read_text(encoding="utf-8")
    assert markdown(flow_table()) in page, "write the output of `okr firewall flows` into docs/firewall.md"
    assert EXAMPLE.read_text(encoding="utf-8") in page


def test_a_host_accepts_and_opens_only_the_flows_of_its_zone() -> None:
    accepting = [line.split() for line in _rules(EXAMPLE).splitlines() if "dport" in line]
    into = {(line[2], *line[3:6:2]) for line in accepting if line[1] == "saddr"}
    out = {(line[2], *line[3:6:2]) for line in accepting if line[1] == "daddr"}
    assert into == {
        ("@edge_4", "tcp", "8443"), ("@app_4", "tcp", "8443"), ("@operators_4", "tcp", "22"),
        *(("@monitoring_4", "tcp", port) for port in ("9100", "9464", "8443")),
    }  # fmt: skip
    assert out == {
        ("@app_4", "tcp", "8443"), ("@data_4", "tcp", "5432"), ("@data_4", "tcp", "6379"), ("@data_4", "tcp", "9093"),
        ("@resolvers_4", "udp", "53"), ("@resolvers_4", "tcp", "53"), ("@clocks_4", "udp", "123"),
        ("@mirrors_4", "tcp", "443"), ("@mirrors_4", "tcp", "80"), ("@mail_4", "tcp", "587"),
    }  # fmt: skip


def test_networks_that_overlap_are_merged(tmp_path: Path) -> None:
    file = tmp_path / "firewall.toml"
    file.write_text('zones = ["edge"]\n[networks]\noperators = ["10.0.0.0/8", "10.1.0.1", "fd00::/8", "fd00::1"]\n')
    rules = _rules(file)
    assert "elements = { 10.0.0.0/8 }" in rules
    assert "elements = { fd00::/8 }" in rules


def test_all_errors_of_a_file_are_reported(tmp_path: Path) -> None:
    file = tmp_path / "firewall.toml"
    file.write_text('zone = ["app"]\nzones = ["dat"]\n[networks]\nap = ["10.0.0.1/8"]\nclients = "10.0.0.0/8"\n')
    with pytest.raises(PermanentError) as raised:
        read_networks(file, flow_table())
    text = str(raised.value)
    for part in ("zone is unknown", "dat is not a zone", "operators is empty", "networks.ap is not a zone or network",
                 "10.0.0.1/8 has host bits set", "networks.clients is not a list"):  # fmt: skip
        assert part in text
    assert len(text.splitlines()) == 7


OWN = 'zones = ["data"]\n[networks]\noperators = ["10.0.0.1"]\nmail = ["10.0.0.2"]\n'


def test_a_host_can_have_flows_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "firewall.toml"
    file.write_text(
        f'{OWN}[[flow]]\nfrom = ["app", "data"]\nto = ["mail"]\nservice = "SMTP"\ntcp = 587\nwhy = "alerts"\n'
        '[[flow]]\nfrom = ["operators"]\nto = ["data"]\nservice = "mosh"\nudp = 60001\nwhy = "logins"\n'
    )
    rules = _rules(file)
    assert 'ip daddr @mail_4 tcp dport 587 counter accept comment "to mail: SMTP"' in rules
    assert 'ip saddr @operators_4 udp dport 60001 counter accept comment "from operators: mosh"' in rules
    assert "@mail_4 tcp dport 25" not in rules


@pytest.mark.parametrize(
    ("flow", "message"),
    [
        ('flow = "mail"', r"flow is not a list of tables\. Expected \[\[flow\]\]\.$"),
        ('[[flow]]\nfrom = ["data"]\nto = ["mails"]\ntcp = 1\nservice = "s"\nwhy = "w"', "flow 1: .*among .*, mail,"),
        ('[[flow]]\nfrom = ["data"]\nto = "mail"\ntcp = 1\nservice = "s"\nwhy = "w"', "from and to with zones"),
        ('[[flow]]\nfrom = ["data"]\ntcp = 1\nservice = "s"\nwhy = "w"', "from and to with zones"),
        ('[[flow]]\nfrom = ["mail"]\nto = ["mail"]\ntcp = 1\nservice = "s"\nwhy = "w"', "a zone as the source or the"),
        ('[[flow]]\nfrom = ["data"]\nto = ["mail"]\ntcp = "smtp"\nservice = "s"\nwhy = "w"', "one port"),
        ('[[flow]]\nfrom = ["data"]\nto = ["mail"]\ntcp = 1\nservice = "s"', "service and why as texts"),
        ("[[flow]]\nfrom = ['data']\nto = ['mail']\ntcp = 1\nservice = 's\"; accept'\nwhy = 'w'", "without quotes"),
        ('[[flow]]\nfrom = ["data"]\nto = ["mail"]\ntcp = 1\nservice = "s"\nwhy = "w"\nport = 2', "expected no port"),
        ("", "networks.mail is not a zone or network. Expected .* or one of a .*flow"),
    ],
)  # fmt: skip
def test_an_invalid_flow_of_a_host_is_rejected(tmp_path: Path, flow: str, message: str) -> None:
    file = tmp_path / "firewall.toml"
    file.write_text(f"{flow}\n{OWN}" if flow.startswith("flow") else f"{OWN}{flow}\n")
    with pytest.raises(PermanentError, match=message) as raised:
        read_networks(file, flow_table())
    assert len(str(raised.value).splitlines()) == 2


def test_the_name_of_a_place_must_be_one_that_nftables_accepts(tmp_path: Path) -> None:
    file = tmp_path / "firewall.toml"
    flow = '[[flow]]\nfrom = ["data"]\nto = ["my mail"]\ntcp = 1\nservice = "s"\nwhy = "w"\n'
    file.write_text(OWN.replace("mail", '"my mail"') + flow)
    with pytest.raises(PermanentError, match=r"networks\.my mail: expected a name of lower-case letters"):
        read_networks(file, flow_table())


@pytest.mark.parametrize("text", ["zones = [", 'zones = ["app"]\n'])
def test_a_file_that_is_not_toml_or_has_no_networks_is_rejected(tmp_path: Path, text: str) -> None:
    file = tmp_path / "firewall.toml"
    file.write_text(text)
    with pytest.raises(PermanentError, match=r"firewall\.toml"):
        read_networks(file, flow_table())


def test_a_missing_file_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match=r"is missing\. docs/firewall\.md"):
        read_networks(tmp_path / "firewall.toml", flow_table())


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("tcp = 443\nudp = 443", "one port"),
        ("tcp = 70000", "one port"),
        ('tcp = 443\nto = ["elsewhere"]', "zones or networks among"),
        ('tcp = 443\nto = ["mirrors"]', "a zone as the source or the destination"),
    ],
)
def test_an_invalid_flow_is_rejected(tmp_path: Path, wrong: str, message: str) -> None:
    to = "" if "to =" in wrong else 'to = ["edge"]\n'
    file = tmp_path / "flows.toml"
    file.write_text(
        '[zones]\nedge = "e"\n[networks]\nclients = "c"\nmirrors = "m"\n'
        f'[[flow]]\nfrom = ["clients"]\n{to}{wrong}\nservice = "s"\nwhy = "w"\n'
    )
    with pytest.raises(PermanentError, match=message):
        flow_table(file)


def _rules(file: Path) -> str:
    table = flow_table()
    return ruleset(table, read_networks(file, table))
