"""Revert migrations, which `okr migrate` does not offer."""

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine

from infra.migrations.migrate import FOLDER
from lakehouse.settings import Settings
from lakehouse.warehouse import sqlalchemy_url


def downgrade(settings: Settings, to: str) -> None:
    """Revert the revisions after `to`."""
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    config.set_main_option("path_separator", "os")
    engine = create_engine(sqlalchemy_url(settings.require("dsn_owner"), "test"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, to)
    engine.dispose()
