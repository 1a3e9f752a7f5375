"""The secrets of a host are those that its units load."""

from pathlib import Path

import pytest

from infra.server.filter_plugins.unit_secrets import unit_secrets

UNITS = str(Path("infra/server/systemd").absolute())


def test_a_unit_has_its_own_secrets_and_those_of_its_drop_ins() -> None:
    names = ("airflow_dsn", "airflow_fernet_secret", "airflow_api_secret", "airflow_jwt_secret")
    unit = "okr-airflow-triggerer"
    assert unit_secrets([unit], UNITS) == dict.fromkeys(names, unit)


def test_a_unit_starts_without_secrets_that_have_a_default_but_not_without_others() -> None:
    assert unit_secrets(["okr-land@2"], UNITS) == {
        "field_encryption_key": "okr-land@2", "dsn_landing": "okr-land@2", "airflow_landing_password": "okr-land@2",
        "kafka_password_land": "", "client_key": "",
    }  # fmt: skip


def test_a_secret_of_several_units_is_required_if_one_of_them_requires_it(tmp_path: Path) -> None:
    loaded = "LoadCredential=okr_a:/etc/okr/secrets/okr_a\n"
    (tmp_path / "okr-one.service").write_text(f"{loaded}SetCredential=okr_a:\\n\n", encoding="ascii")
    (tmp_path / "okr-two.service").write_text(loaded, encoding="ascii")
    assert unit_secrets(["okr-one", "okr-two"], str(tmp_path)) == {"a": "okr-two"}
    assert unit_secrets(["okr-one"], str(tmp_path)) == {"a": ""}


def test_a_host_without_units_needs_none() -> None:
    assert unit_secrets([], UNITS) == unit_secrets(["okr-certificates"], UNITS) == {}


def test_an_unknown_unit_is_an_error() -> None:
    with pytest.raises(ValueError, match="okr-landing is not a unit"):
        unit_secrets(["okr-landing"], UNITS)
