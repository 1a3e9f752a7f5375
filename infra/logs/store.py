"""The store of all hosts' logs (VictoriaLogs), which has the fields of their journals. It is optional."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from infra.logs.entry import Entry
from infra.logs.journal import OTHER_UNITS, PREFIX, entry_of
from infra.logs.query import Query
from lakehouse.client_tls import ClientTls
from lakehouse.errors import RetryableError
from lakehouse.http_client import http_client

TIMEOUT_S = 60.0


def read(url: str, query: Query, *, follow: bool, tls: ClientTls | None = None) -> Iterator[Entry]:
    """Return the entries that the store has, in the order of their times; with `follow`, those to come, without end.

    Raises:
        RetryableError: the store does not respond, or refuses the query.
    """
    import httpx

    path, parameters = ("tail", {"query": expression(query)}) if follow else ("query", _parameters(query))
    try:
        with http_client(url, timeout_s=TIMEOUT_S, tls=tls) as client:
            timeout = httpx.Timeout(TIMEOUT_S, read=None if follow else TIMEOUT_S)
            with client.stream("GET", f"/select/logsql/{path}", params=parameters, timeout=timeout) as answer:
                if answer.status_code != httpx.codes.OK:
                    text = answer.read().decode(errors="replace").strip()
                    raise RetryableError(f"The log store {url} refused the query with {answer.status_code}: {text}")
                for line in answer.iter_lines():
                    entry = entry_of(json.loads(line)) if line else None
                    if entry is not None and query.matches(entry):
                        yield entry
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise RetryableError(
            f"The log store {url} does not respond ({error}). Without --store, `okr logs` reads the logs of this host."
        ) from error


def expression(query: Query) -> str:
    """Return the query in LogsQL. The level is compared later, because the store does not know the forms of lines."""
    conditions = []
    if query.services:
        units = "|".join(pattern for service in sorted(query.services) for pattern in _patterns(service))
        conditions.append(f'_SYSTEMD_UNIT:~"^({units})"')
    if query.request_id:
        conditions.append(json.dumps(query.request_id))
    return " AND ".join(conditions) or "*"


def _parameters(query: Query) -> Mapping[str, Any]:
    period = {"start": query.since, "end": query.until}
    times = {name: time.isoformat() for name, time in period.items() if time is not None}
    return {"query": f"{expression(query)} | sort by (_time)", **times}


def _patterns(service: str) -> list[str]:
    return [*OTHER_UNITS.get(service, ())] or [f"{PREFIX}{service}(@|[.]service)"]
