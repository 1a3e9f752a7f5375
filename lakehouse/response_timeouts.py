"""A plugin of SQLAlchemy that gives the connections of an engine a response timeout, if the engine's URL names it.

Libraries such as MLflow create their engines themselves, from a URL, so nothing else can reach these connections.
"""

from typing import Any

from sqlalchemy.dialects import plugins
from sqlalchemy.engine import CreateEnginePlugin, Engine, make_url

from lakehouse.connection_limits import Limits
from lakehouse.warehouse import set_response_timeout

NAME = "okr_response_timeout"
PARAMETER = "okr_response_s"


def with_response_timeout(url: str, limits: Limits) -> str:
    """Return a URL whose engine applies the response timeout of `limits`. Its driver must be psycopg (version 3)."""
    plugins.register(NAME, __name__, ResponseTimeout.__name__)
    named = make_url(url).update_query_pairs([("plugin", NAME), (PARAMETER, str(limits.response_s or 0))])
    return named.render_as_string(hide_password=False)


class ResponseTimeout(CreateEnginePlugin):
    """Sets the timeout of every connection that the engine opens."""

    def __init__(self, url: Any, kwargs: dict[str, Any]) -> None:
        super().__init__(url, kwargs)
        self._response_s = float(url.query[PARAMETER])

    def update_url(self, url: Any) -> Any:
        """Return the URL without the plugin's parameter, which libpq does not know."""
        return url.difference_update_query([PARAMETER])

    def engine_created(self, engine: Engine) -> None:
        """Set the timeout."""
        set_response_timeout(engine, self._response_s or None)
