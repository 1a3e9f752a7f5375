"""Plain FastAPI routes with the SQL and the models of two of ours, and nothing else: no login, limit, metric or log.

`python -m tests.benchmarks.bare_routes PORT` serves them; the DSN is in OKR_DSN_SERVING.
"""

import os
import sys
from typing import Any

import uvicorn
from fastapi import FastAPI
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool

from lakehouse.contracts.cycle import DAYS_TO_CLOSE
from lakehouse.warehouse import read_sql
from serving.auth.visibility import UNRESTRICTED
from serving.data.lists.definitions import KEY_RESULTS
from serving.data.lists.page_statement import page_statement
from serving.data.lists.queries import KeyResultsQuery
from serving.data.lists.service import ListRequest, _parameters
from serving.data.schemas import KeyResultResponse, ListedKeyResult
from serving.data.service import add_missing_to_close
from serving.schemas import PublishedResponse

LIMIT = 100
SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"
PUBLICATION = read_sql("serving", "queries/current_publication").encode()
KEY_RESULT = read_sql("serving.data", "queries/key_result").encode()
LIST = ListRequest(KEY_RESULTS, KeyResultsQuery(limit=LIMIT), UNRESTRICTED)
STATEMENT = page_statement(KEY_RESULTS, LIST.columns, LIST.order, None)


class KeyResults(PublishedResponse):
    """The list."""

    key_results: list[ListedKeyResult]
    next_cursor: str | None


def create_app(pool: "ConnectionPool[Any]") -> FastAPI:
    """Return the application."""
    app = FastAPI()

    @app.get("/v1/key-results/{key_result_id}")
    def key_result(key_result_id: str) -> KeyResultResponse:
        with pool.connection() as connection:
            connection.execute(SNAPSHOT)
            publication = connection.execute(PUBLICATION).fetchone()
            wanted = {"key_result_id": key_result_id, "days_to_close": DAYS_TO_CLOSE, **UNRESTRICTED}
            rows = add_missing_to_close(connection.execute(KEY_RESULT, wanted).fetchall())
        return KeyResultResponse.model_validate({"key_result": rows[0], "cycles": rows, **_of(publication)})

    @app.get("/v1/key-results")
    def key_results(limit: int = LIMIT) -> KeyResults:
        with pool.connection() as connection:
            connection.execute(SNAPSHOT)
            publication = connection.execute(PUBLICATION).fetchone()
            rows = connection.execute(STATEMENT, _parameters(LIST, None, limit + 1)).fetchall()
        shown = [LIST.shown(row) for row in rows[:limit]]
        return KeyResults.model_validate({"key_results": shown, "next_cursor": None, **_of(publication)})

    return app


def _of(publication: Any) -> dict[str, Any]:
    return {name: publication[name] for name in ("publication_id", "data_as_of")}


if __name__ == "__main__":
    options = {"row_factory": dict_row, "prepare_threshold": None}
    with ConnectionPool(os.environ["OKR_DSN_SERVING"], kwargs=options, max_size=8) as connections:
        uvicorn.run(
            create_app(connections), port=int(sys.argv[1]), loop="uvloop", http="httptools", access_log=False,
            log_level="warning",
        )  # fmt: skip
