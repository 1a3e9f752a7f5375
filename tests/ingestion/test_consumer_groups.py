"""The name of a Kafka group depends on the location of the sink, not on the login."""

import traceback

import pytest
from pydantic import SecretStr

from ingestion.consumer_groups import landing_group, state_group
from lakehouse.errors import PermanentError
from lakehouse.settings import Settings
from lakehouse.warehouse import connect


def at(dsn: str) -> str:
    return state_group(Settings(dsn_loader=SecretStr(dsn)))


def test_each_lake_and_each_database_has_its_own_group(tmp_path):
    assert landing_group(Settings(lake_uri=str(tmp_path / "a"))) != landing_group(
        Settings(lake_uri=str(tmp_path / "b"))
    )
    assert landing_group(Settings(lake_uri=f"{tmp_path}/a/")) == landing_group(Settings(lake_uri=f"{tmp_path}/b/../a"))
    assert landing_group(Settings(lake_uri="s3://lake/")) == landing_group(Settings(lake_uri="s3://lake"))
    assert at("postgresql://u:p@db/okr") != at("postgresql://u:p@db/okr2")


@pytest.mark.parametrize(
    "dsn", ["postgresql://v:s%23x@db:5432/okr", "postgresql://v:s#x@db/okr", "host=db user=v password=x dbname=okr"]
)
def test_a_database_has_one_group_for_any_login_and_spelling_of_the_dsn(dsn):
    assert at(dsn) == at("postgresql://u:p@db:5432/okr")


def test_an_invalid_dsn_is_reported_without_its_password():
    password = "7" * 20
    dsn = f"postgresql//role:{password}@db:5432/okr"
    for ask in (at, connect):
        with pytest.raises(PermanentError, match="OKR_DSN_") as told:
            ask(dsn)
        assert password not in "".join(traceback.format_exception(told.value))
