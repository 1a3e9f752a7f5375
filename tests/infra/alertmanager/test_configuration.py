"""Alertmanager's configuration: it names only alerts that exist, says who is notified, and shows no secret."""

import grp
import os
import re
import stat
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

import infra.prometheus
from infra.alertmanager import configuration as module
from infra.alertmanager.configuration import configuration, write
from infra.alertmanager.inhibitions import INHIBITIONS
from infra.alertmanager.receivers import Mail, Receivers, read_receivers
from lakehouse.errors import PermanentError

RULES = Path(infra.prometheus.__file__).parent / "rules"
SECRET = "https://chat.example.org/hook/T0p-s3cret"
API = Receivers("https://okr.example.org", Path("/etc/okr/secrets/okr_alert_key"))
ALL = Receivers(
    API.api_url, API.key_file, "/etc/okr/tls/ca.pem", Mail("o@example.org", "okr@example.org", "smtp.example.org:587"),
    SECRET, SECRET,
)  # fmt: skip
FILE = """
[api]
url = "https://okr.example.org/"
key_file = "/etc/okr/secrets/okr_alert_key"
[webhook]
url_file = "{hook}"
"""


@cache
def alert_rules() -> dict[str, dict[str, Any]]:
    """Return the alert rules by name."""
    groups = [group for file in RULES.glob("*.yml") for group in yaml.safe_load(file.read_text("utf-8"))["groups"]]
    return {rule["alert"]: rule for group in groups for rule in group["rules"] if "alert" in rule}


def names_in(matchers: tuple[str, ...]) -> list[str]:
    """Return the names of the alerts that matchers name."""
    [names] = [re.search(r'"(.*)"', each) for each in matchers if each.startswith("alertname")]
    assert names is not None
    return names[1].split("|")


def test_inhibitions_name_alerts_that_exist() -> None:
    named = {name for each in INHIBITIONS for name in (*names_in(each.source), *names_in(each.target))}
    assert named <= alert_rules().keys(), "An alert was renamed: change infra/alertmanager/inhibitions.py."


@pytest.mark.parametrize("inhibition", INHIBITIONS, ids=lambda each: each.reason)
def test_nothing_silences_a_worse_alert_or_itself(inhibition: Any) -> None:
    rules = alert_rules()
    sources, targets = names_in(inhibition.source), names_in(inhibition.target)
    assert {rules[name]["labels"]["severity"] for name in sources} == {"critical"}
    assert not set(sources) & set(targets) or 'job != "node"' in inhibition.target
    assert not any(name.endswith("ErrorRate") for name in targets), "error rates are never silenced"


def test_every_alert_has_a_severity_with_a_route_and_the_dead_mans_switch_has_its_own() -> None:
    severities = {name: rule["labels"]["severity"] for name, rule in alert_rules().items()}
    assert severities.pop("DeadMansSwitch") == "none"
    assert set(severities.values()) == {"critical", "warning"}
    assert yaml.safe_load(configuration(API))["route"]["routes"][0]["matchers"] == ["alertname = DeadMansSwitch"]


def test_every_route_of_the_tree_ends_at_a_receiver_for_people() -> None:
    *_, last = yaml.safe_load(configuration(API))["route"]["routes"]
    assert last == {"matchers": [], "receiver": "people"}, "what a route with `continue` matched never gets to the root"


def test_without_a_receiver_for_people_the_statement_says_so() -> None:
    content = yaml.safe_load(configuration(API))
    receivers = {each["name"]: each for each in content["receivers"]}
    assert set(receivers["people"]) == set(receivers["people-critical"]) == set(receivers["heartbeat"]) == {"name"}
    assert "nobody is notified" in " ".join(API.statements())
    [webhook] = receivers["okr-api"]["webhook_configs"]
    assert webhook["url"] == "https://okr.example.org/v1/alerts"
    assert webhook["http_config"]["authorization"] == {"credentials_file": "/etc/okr/secrets/okr_alert_key"}
    assert webhook["max_alerts"] == 0, "a limit would lose alerts"


def test_statements_and_representations_contain_no_secret() -> None:
    assert SECRET in configuration(ALL)
    shown = " ".join((*ALL.statements(), repr(ALL)))
    assert "chat.example.org" in shown
    assert "mail to o@example.org and a webhook" in shown
    assert "T0p-s3cret" not in shown


def test_texts_cannot_leave_their_place_in_the_file() -> None:
    odd = 'x"\nroute: {receiver: evil}\n#'
    content = yaml.safe_load(configuration(Receivers("https://x", Path(odd), mail=Mail(odd, "a@b", "h:1"))))
    assert content["route"]["receiver"] == "people"
    assert content["receivers"][1]["email_configs"][0]["to"] == odd


def test_a_file_is_read_with_the_address_from_its_own_file(tmp_path: Path) -> None:
    hook = tmp_path / "hook"
    hook.write_text(f"{SECRET}\n")
    (file := tmp_path / "alerting.toml").write_text(FILE.format(hook=hook))
    receivers = read_receivers(file)
    assert (receivers.api_url, receivers.webhook_url, receivers.mail) == ("https://okr.example.org", SECRET, None)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "[api] is missing"),
        ("[api]\nurl = 'https://x'", "[api] lacks key_file"),
        ("[api]\nurl = 'x/y'\nkey_file = 'k'", "must be http:// or https://"),
        ("[api]\nurl = 'https://x/v1'\nkey_file = 'k'", "nothing behind it"),
        ("[api]\nurl = 'https://x'\nkey_file = 'k'\n[slack]\n", "[slack] is unknown. Expected [api], [mail]"),
        (
            "[api]\nurl = 'https://x'\nkey_file = 'k'\n[mail]\nto = 'a'\nfrom = 'b'\nserver = 'smtp'",
            "must be host:port",
        ),
        ("[api]\nurl = 'https://x'\nkey_file = 'k'\n[mail]\ntos = 'a'", "unknown key 'tos'"),
        ("[api]\nurl = 'https://x'\nkey_file = 'k'\n[webhook]\nurl_file = '/nowhere'", "cannot be read"),
        ("api = 1", "api is not a table"),
        ("[api", "cannot be read"),
    ],
)
def test_an_invalid_file_is_explained(tmp_path: Path, content: str, told: str) -> None:
    (file := tmp_path / "alerting.toml").write_text(content)
    with pytest.raises(PermanentError, match=re.escape(told)):
        read_receivers(file)


def test_an_invalid_address_is_not_shown(tmp_path: Path) -> None:
    (hook := tmp_path / "hook").write_text("T0p-s3cret")
    (file := tmp_path / "alerting.toml").write_text(FILE.format(hook=hook))
    with pytest.raises(PermanentError, match="must contain one address") as raised:
        read_receivers(file)
    assert "T0p-s3cret" not in str(raised.value)


@pytest.fixture
def _accepting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not ask amtool, which only tests of operations have."""
    monkeypatch.setattr(module, "_check", lambda file: None)


@pytest.mark.usefixtures("_accepting")
def test_the_file_is_for_its_owner_and_the_group_of_alertmanager(tmp_path: Path) -> None:
    file = tmp_path / "alertmanager.yml"
    umask = os.umask(0)
    try:
        assert write(ALL, file)
    finally:
        os.umask(umask)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.chmod(0o644)  # as Debian installs it
    own = grp.getgrgid(os.getgid()).gr_name
    assert not write(ALL, file, group=own), "its content is the same"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    with pytest.raises(PermanentError, match="this host has no group 'nobody-at-all'"):
        write(API, file, group="nobody-at-all")
    assert [each.name for each in tmp_path.iterdir()] == ["alertmanager.yml"]


def test_a_configuration_that_is_refused_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(file: Path) -> None:
        raise PermanentError("amtool rejects the configuration")

    monkeypatch.setattr(module, "_check", refuse)
    (file := tmp_path / "alertmanager.yml").write_text("old")
    with pytest.raises(PermanentError):
        write(ALL, file)
    assert file.read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["alertmanager.yml"], "no copy with a secret is left"


def test_a_missing_folder_is_explained(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="Does its folder exist"):
        write(API, tmp_path / "none" / "alertmanager.yml")
