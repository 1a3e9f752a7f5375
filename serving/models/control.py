"""Read and write which version of each model should serve (serving.model_directive), and read running experiments."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import msgspec
from psycopg.rows import class_row

from lakehouse.logs import get_logger
from lakehouse.warehouse import read_sql
from serving.experiments.experiment import Experiment
from serving.publication_reader import Reader, Row, Warehouse

PACKAGE = "serving.models"
CHAMPION = "champion"


@dataclass(frozen=True)
class Directive:
    """The version number that should serve, or the alias that should be followed, as instructed by an account."""

    model_name: str
    directive_id: int = 0
    reference: str = CHAMPION
    created_at: datetime | None = None
    created_by: str | None = None


@dataclass(frozen=True)
class Control:
    """The newest directive and the running experiment of each model that has one."""

    directives: Mapping[str, Directive] = field(default_factory=dict)
    experiments: Mapping[str, Experiment] = field(default_factory=dict)

    def directive_of(self, model_name: str) -> Directive:
        """Return the newest directive of a model. Without one, the champion is followed."""
        return self.directives.get(model_name) or Directive(model_name)


def read_control(warehouse: Warehouse) -> Control:
    """Read the directives and the running experiments.

    Raises:
        RetryableError: PostgreSQL is unavailable.
    """
    with warehouse.connection() as connection:
        reader = Reader(connection)
        directives = [Directive(**row) for row in reader.rows(PACKAGE, "control")]
        running = [each for row in reader.rows(PACKAGE, "running_experiments") if (each := _experiment(row))]
    return Control(
        {each.model_name: each for each in directives},
        {each.model_name: each for each in running},
    )


def _experiment(row: Row) -> Experiment | None:
    try:
        return msgspec.convert(row, Experiment)
    except msgspec.ValidationError as error:  # written by another release; models must be served nevertheless
        get_logger(__name__).error("an experiment is ignored", experiment=row["name"], error=str(error))
        return None


def add_directive(warehouse: Warehouse, model_name: str, reference: str, created_by: str) -> Directive:
    """Store a directive, which every worker carries out within about a second, and return it.

    Raises:
        RetryableError: PostgreSQL is unavailable.
    """
    values = {"model_name": model_name, "reference": reference, "created_by": created_by}
    with warehouse.connection() as connection, connection.cursor(row_factory=class_row(Directive)) as cursor:
        added = cursor.execute(read_sql(PACKAGE, "queries/add_directive").encode(), values).fetchone()
    if added is None:
        raise RuntimeError("INSERT ... RETURNING returned no row")
    return added
