"""The secrets of servers: the table, the vault that is generated, its check, and renewed secrets."""

import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from infra.certificates.hosts import Hosts, issue
from infra.kafka.rights import USERS
from infra.local.executables import ROOT
from infra.secrets.forms import Addresses
from infra.secrets.generate import complete, problems
from infra.secrets.table import BROKERS, BY_NAME, KAFKA, REDIS, ROLES, SECRETS, markdown, units_by_secret
from infra.secrets.vault import from_text, to_text
from lakehouse.configuration.requirements import violations
from lakehouse.errors import PermanentError
from lakehouse.settings import Settings

PAGE = ROOT / "docs" / "secrets.md"
ADDRESSES = Addresses("data-1.example.org:5432", "data-1.example.org:6379", "/etc/okr/tls/ca.pem")
REQUIRED = [secret.name for secret in SECRETS if not secret.is_optional]
NEW = ("secrets", "new", "--postgres=data-1.example.org:5432", "--redis=data-1.example.org:6379")


def okr(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / ".venv/bin/okr", *arguments], input=stdin, capture_output=True, text=True, check=False, timeout=60
    )


def test_the_table_has_every_secret_that_a_unit_loads_and_says_what_uses_it() -> None:
    loaded = units_by_secret()
    assert len(loaded) > 20
    assert loaded.keys() <= BY_NAME.keys()
    assert {"okr-api@", "okr-land@", "okr-state"} == loaded["field_encryption_key"]
    assert [secret.name for secret in SECRETS if not (loaded[secret.name] or secret.commands)] == []


def test_each_user_of_kafka_has_a_password() -> None:
    users = {f"okr-{name.removeprefix('kafka_password_')}" for name in BY_NAME if name.startswith("kafka_password_")}
    assert users == {*USERS, "okr-broker", "okr-admin"}


def test_the_docs_contain_the_table() -> None:
    block = re.search(r"<!-- secrets: .*?-->(.*?)<!-- /secrets -->", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert block is not None
    assert block[1].strip().splitlines()[2:] == markdown()


def test_the_data_host_of_the_example_inventory_has_the_secrets_of_its_commands() -> None:
    example = ROOT / "infra" / "server" / "inventory.example.yml"
    hosts = yaml.safe_load(example.read_text(encoding="utf-8"))["okr"]["hosts"]
    on_data = {secret.name for secret in SECRETS if {*secret.commands} & {ROLES, REDIS, KAFKA, BROKERS}}
    assert {*hosts["data-1.example.org"]["okr_extra_secrets"]} == on_data
    assert {*hosts["app-1.example.org"]["okr_extra_secrets"]} <= BY_NAME.keys()


def test_a_new_vault_is_yaml_with_all_secrets_that_the_check_accepts() -> None:
    made = okr(*NEW)
    assert made.returncode == 0, made.stderr
    values = yaml.safe_load(made.stdout)["vault_okr_secrets"]
    assert [*values] == REQUIRED
    checked = okr("secrets", "check", "-", stdin=made.stdout)
    assert checked.stdout == "All secrets have the right form.\n", checked.stderr


def test_production_accepts_the_generated_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = tmp_path / "ca.pem"
    authority.touch()
    addresses = Addresses("data-1.example.org:5432", "data-1.example.org:6379", str(authority))
    for name, value in complete({}, (), addresses).items():
        monkeypatch.setenv(f"OKR_{name.upper()}", value)
    monkeypatch.setenv("OKR_ENVIRONMENT", "production")
    assert violations(Settings()) == []


def test_a_renewed_secret_is_new_and_all_others_are_kept() -> None:
    before = complete({}, (), ADDRESSES)
    done = okr(*NEW, "--keep=-", "--renew=dsn_loader", "--renew=kafka_password_api", stdin=to_text(before))
    after = from_text(done.stdout)
    assert {name for name in before if before[name] != after[name]} == {"dsn_loader", "kafka_password_api"}
    assert [*problems(after)] == []


def test_secrets_that_a_new_release_needs_are_added() -> None:
    before = complete({}, (), ADDRESSES)
    missing = before.pop("metrics_token")
    after = complete(before, (), ADDRESSES)
    assert after["metrics_token"] not in ("", missing)
    assert {name: after[name] for name in before} == before


def test_the_key_of_the_certificate_for_other_hosts_is_added(tmp_path: Path) -> None:
    issue(tmp_path / "ca", Hosts("", ["edge.example.org"], ["app.example.org"], []), print)
    key = tmp_path / "ca" / "client-key.pem"
    made = okr(*NEW, f"--client-key={key}")
    values = from_text(made.stdout)
    assert values["client_key"] == key.read_text(encoding="ascii").strip()
    assert yaml.safe_load(made.stdout)["vault_okr_secrets"] == values
    assert [*problems(values)] == []


def test_keys_of_personal_fields_are_never_replaced() -> None:
    before = complete({}, (), ADDRESSES)
    with pytest.raises(PermanentError, match=r"could not be read any more.*encryption\.md"):
        complete(before, ["field_encryption_key"], ADDRESSES)


def test_two_keys_of_personal_fields_stay_on_two_lines() -> None:
    keys = f"{complete({}, (), ADDRESSES)['field_encryption_key']}\n{'A' * 43}="
    values = complete({"field_encryption_key": keys}, (), ADDRESSES)
    assert yaml.safe_load(to_text(values))["vault_okr_secrets"]["field_encryption_key"] == keys
    assert from_text(to_text(values))["field_encryption_key"] == keys


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("airflow_fernet_secret", "f" * 48, "43 characters); got 48 characters that are not 32 bytes"),
        ("airflow_fernet_secret", "+" * 43, "are not 32 bytes"),
        ("airflow_jwt_secret", "0123456789abcdef" * 3, "at least 64 random characters; got 48 characters"),
        ("field_encryption_key", "c2hvcnQ=", "key 1 is not 32 bytes"),
        ("metrics_token", "", "expected at least 16 random characters; got none"),
        ("jwt_secret", "x" * 40, "1 of them different"),
        ("app_password", "correct horse battery", "spaces"),
        ("pg_superuser_dsn", "postgresql://postgres:0123456789abcdef@h/okr", "another role or database"),
        ("dsn_owner", "postgresql://okr_loader:0123456789abcdef@h/okr", "another role or database"),
        ("dsn_owner", "postgresql://okr_owner:0123456789:bcdef@h/okr", "other characters than"),
        ("dsn_owner", "postgresql://okr_owner:0123456789/bcdef@h/okr", "not URL-safe"),
        ("dsn_owner", "postgresql://okr_owner@h/okr", "a password with 0 characters"),
        (
            "airflow_dsn",
            "postgresql+psycopg2://airflow:0123456789abcdef@h/airflow",
            "does not start with postgresql://",
        ),
        ("redis_url", "rediss://okr_state:0123456789abcdef@h:6379/0", "another user"),
        ("redis_url", "rediss://0123456789abcdef@h:6379/0", "another user"),
        ("client_key", "-----BEGIN PRIVATE KEY-----\nbcdef\n-----END PRIVATE KEY-----", "is no such key"),
        ("redis_url", "https://h", "does not start with rediss://"),
        ("mlflow_pasword", "0123456789abcdef", "Correct the name"),
    ],
)
def test_the_check_names_a_wrong_secret_but_does_not_show_it(name: str, value: str, message: str) -> None:
    values = complete({}, (), ADDRESSES) | {name: value}
    checked = okr("secrets", "check", "-", stdin=to_text(values))
    (line,) = checked.stdout.splitlines()
    assert checked.returncode == 1
    assert line.startswith(f"{name}: ")
    assert message in line
    assert "bcdef" not in line
    assert not value or value not in line


def test_the_same_password_in_two_addresses_is_reported() -> None:
    values = complete({}, (), ADDRESSES)
    values["redis_url"] = values["redis_admin_url"].replace("okr_admin", "okr_serving")
    assert [*problems(values)] == ["redis_admin_url: expected a secret of its own; got the same one as in redis_url."]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("$ANSIBLE_VAULT;1.1;AES256\n6162\n", "ansible-vault view"),
        ("okr_secrets:\n  a: b\n", "Expected the line `vault_okr_secrets:` first"),
        ("", "Expected the line"),
        ("vault_okr_secrets:\n  a: |\n    b\n", "Line 3 is not a secret"),
        ('vault_okr_secrets:\n  a: "b\n', "Line 2 does not end"),
        ("vault_okr_secrets:\n  a: b\n  a: c\n", "Line 3 contains a again"),
    ],
)
def test_a_file_that_is_no_decrypted_vault_is_refused(text: str, message: str) -> None:
    with pytest.raises(PermanentError, match=re.escape(message)):
        from_text(text)


def test_a_vault_that_was_written_by_hand_is_read_as_yaml_reads_it() -> None:
    text = '---\n# comment\nvault_okr_secrets:\n  a: plain\n  b: \'single\'\n\n  c: "dou\\"ble"  \n'
    assert from_text(text) == yaml.safe_load(text)["vault_okr_secrets"]


def run_page(folder: Path, edit: Callable[[str], str] = str) -> "subprocess.CompletedProcess[str]":
    """Run the commands of docs/secrets.md in a shell that continues after an error, as an operator's does."""
    (folder / "password").write_text("only for this test\n", encoding="ascii")
    (folder / "inventory" / "group_vars" / "okr").mkdir(parents=True)
    blocks = re.findall(r"<!-- run -->\n *```\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 3
    script = edit("\n".join(blocks)).replace(".venv/bin/", f"{shlex.quote(str(ROOT / '.venv/bin'))}/")
    environment = {
        "PATH": "/usr/bin:/bin", "HOME": str(folder), "LANG": "C.UTF-8",
        "ANSIBLE_VAULT_PASSWORD_FILE": str(folder / "password"),
    }  # fmt: skip
    return subprocess.run(
        ["bash", "-uc", script],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_ansible_vault_encrypts_and_shows_what_the_commands_print(tmp_path: Path) -> None:
    done = run_page(tmp_path)
    assert done.returncode == 0, done.stderr
    assert "All secrets have the right form." in done.stdout
    vault, old = tmp_path / "inventory/group_vars/okr/vault.yml", tmp_path / "inventory/vault.old.yml"
    assert vault.read_text(encoding="ascii").startswith("$ANSIBLE_VAULT")
    assert old.read_text(encoding="ascii").startswith("$ANSIBLE_VAULT")
    assert not [file for file in tmp_path.rglob("*.yml") if "postgresql://" in file.read_text(encoding="utf-8")]


def test_the_vault_stays_if_a_secret_cannot_be_renewed(tmp_path: Path) -> None:
    done = run_page(tmp_path, lambda script: script.replace("--renew dsn_loader", "--renew field_encryption_key"))
    assert done.returncode != 0
    folder = tmp_path / "inventory"
    shown = subprocess.run(
        [ROOT / ".venv/bin/ansible-vault", "view", "--vault-password-file", tmp_path / "password",
         folder / "group_vars/okr/vault.yml"],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert [*problems(from_text(shown.stdout))] == []
    assert not (folder / "vault.old.yml").exists()
