import pytest

from lakehouse.configuration.foreign_exports import foreign_exports
from lakehouse.errors import PermanentError
from lakehouse.settings import load_settings


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch):
    import os

    for name in [name for name in os.environ if name.startswith("OKR_")]:
        monkeypatch.delenv(name)


def test_a_value_comes_from_the_file_of_the_state_folder(tmp_path):
    (tmp_path / "stack.env").write_text("OKR_KAFKA_BOOTSTRAP=127.0.0.1:1\n")
    assert load_settings(tmp_path).kafka_bootstrap == "127.0.0.1:1"


def test_the_state_folder_takes_precedence_over_exports_of_another_stack(tmp_path, monkeypatch):
    (tmp_path / "stack.env").write_text("OKR_KAFKA_BOOTSTRAP=127.0.0.1:1\n")
    monkeypatch.setenv("OKR_KAFKA_BOOTSTRAP", "elsewhere:2")
    monkeypatch.setenv("OKR_SPOOL_EVENTS", "7")
    settings = load_settings(tmp_path)
    assert settings.kafka_bootstrap == "127.0.0.1:1"
    assert settings.spool_events == 7  # not in the file, so the environment applies


def test_a_server_without_a_stack_uses_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("OKR_KAFKA_BOOTSTRAP", "elsewhere:2")
    assert load_settings(tmp_path).kafka_bootstrap == "elsewhere:2"
    assert foreign_exports(tmp_path) == []


def test_a_missing_value_names_the_variable_and_the_fix(tmp_path):
    with pytest.raises(PermanentError, match=r"OKR_REDIS_URL is empty .* `make up`"):
        load_settings(tmp_path).require("redis_url")


def test_an_invalid_value_is_named_but_never_shown(tmp_path, monkeypatch):
    monkeypatch.setenv("OKR_API_PORT", "hunter2")
    with pytest.raises(PermanentError, match="OKR_API_PORT") as refused:
        load_settings(tmp_path)
    assert "hunter2" not in str(refused.value)


def test_secrets_do_not_show_when_settings_are_printed(tmp_path, monkeypatch):
    monkeypatch.setenv("OKR_JWT_SECRET", "hunter2" * 5)
    assert "hunter2" not in repr(load_settings(tmp_path))
