"""What `okr deploy` checks before it changes anything: an API, the settings of all steps, and a closed folder."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from pydantic import SecretStr

from infra.deploy.deployment import Deployment
from infra.deploy.host import Host
from infra.deploy.journal import Journal
from infra.deploy.preconditions import check_api
from lakehouse.errors import NotPossible, PermanentError
from lakehouse.settings import Settings

NEEDED = ("dsn_owner", "app_password", "metrics_token")


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A host with one installed release, of which nothing runs."""
    okr = tmp_path / "opt" / "releases" / "1.0" / ".venv" / "bin" / "okr"
    okr.parent.mkdir(parents=True)
    okr.touch(mode=0o755)
    return Host(root=tmp_path / "opt", sockets=tmp_path / "run", state=tmp_path / "state", boot_file=None)


def units(*enabled: str, running: str = "") -> SimpleNamespace:
    """Return units that cannot be started or stopped."""
    return SimpleNamespace(is_enabled=lambda unit: unit in enabled, pid=lambda unit: 1 if unit == running else None)


def settings(**values: str) -> Settings:
    return Settings(**{name: SecretStr(value) for name, value in values.items()})


@pytest.mark.parametrize("missing", [NEEDED, NEEDED[:1], NEEDED[1:]])
def test_all_missing_settings_are_named_before_anything_is_changed(host: Host, missing: tuple[str, ...]) -> None:
    given = settings(**{name: "value" for name in NEEDED if name not in missing})
    names = ", ".join(f"OKR_{name.upper()}" for name in missing)
    files = ", ".join(f"/etc/okr/secrets/okr_{name}" for name in missing)
    with pytest.raises(PermanentError, match=f"needs {names}, .* Nothing was changed. Expected the files {files},"):
        Deployment(host, units("okr-api@blue"), given, print).run("1.0")
    assert Journal(host.state).last() is None
    assert {path.name for path in host.root.iterdir()} == {"releases"}


def test_a_host_without_an_api_does_not_get_one(host: Host) -> None:
    given = settings(**dict.fromkeys(NEEDED, "value"))
    with pytest.raises(
        NotPossible, match=r"neither okr-api@blue nor okr-api@green is enabled here. Nothing was changed"
    ):
        Deployment(host, units("okr-land@1", running="okr-land@1"), given, print).run("1.0")
    assert Journal(host.state).last() is None
    assert {path.name for path in host.root.iterdir()} == {"releases"}


@pytest.mark.parametrize("there", [units("okr-api@green"), units(running="okr-api@blue")])
def test_a_host_whose_api_is_enabled_or_runs_is_deployed(host: Host, there: SimpleNamespace) -> None:
    check_api(host, there)


def test_the_folder_of_the_journal_is_closed_to_other_users(host: Host) -> None:
    with Journal(host.state).exclusive():
        assert host.state.stat().st_mode & 0o777 == 0o750
