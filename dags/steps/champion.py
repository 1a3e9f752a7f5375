"""Which forecast model answers now, for the publication to name."""

from psycopg import errors

from lakehouse.settings import Settings
from lakehouse.warehouse import connect, read_sql


def champion_version(settings: Settings) -> str | None:
    """Return the champion's version; None where there is none, or no registry yet.

    Raises:
        RetryableError: MLflow's database cannot be reached.
    """
    from ml.registry import CHAMPION, MODEL_NAME

    dsn = settings.require("mlflow_store_uri").replace("postgresql+psycopg2://", "postgresql://", 1)
    with connect(dsn, application="okr-publish") as connection:
        try:
            row = connection.execute(
                read_sql("dags.steps", "champion"), {"name": MODEL_NAME, "alias": CHAMPION}
            ).fetchone()
        except errors.UndefinedTable:
            return None  # MLflow makes its tables when it first starts
    return str(row[0]) if row else None
