"""`okr up --tls` on a host without nginx."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from infra.commands import app
from infra.local.services import NAMES, select
from infra.nginx import apply
from lakehouse.errors import PermanentError


def test_up_says_how_to_install_nginx_and_starts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apply, "which", lambda *_, **__: None)
    monkeypatch.setenv("OKR_STATE", str(tmp_path / "state"))
    result = CliRunner().invoke(app, ["up", "--tls"])
    assert isinstance(result.exception, PermanentError)
    (line,) = str(result.exception).splitlines()
    assert "nginx is not installed: `sudo apt-get install nginx-light` (Debian)" in line
    assert not (tmp_path / "state").exists()


def test_nginx_is_a_service_only_of_a_stack_with_tls() -> None:
    assert select(None, tls=True) == (*NAMES, "nginx")
    assert {"nginx", "api", "kafka"} <= set(select("nginx", tls=True))
    with pytest.raises(PermanentError, match="okr up --tls"):
        select("nginx")
