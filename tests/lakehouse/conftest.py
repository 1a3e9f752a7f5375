import pytest

from lakehouse.settings import Settings
from tests.lakehouse.marts import load_one_event


@pytest.fixture
def warehouse(fresh_database: Settings) -> Settings:
    """A database whose raw schema holds one event, so that there is a data_as_of."""
    load_one_event(fresh_database)
    return fresh_database
