"""Send one GET request on loopback, bypassing any proxy."""

import http.client
import json
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from lakehouse.errors import RetryableError

TIMEOUT_SECONDS = 5


def get_text(url: str, authority: Path | None = None) -> str:
    """Return the body of a 2xx response. `authority` is the certificate that a server with HTTPS must have.

    Raises:
        RetryableError: there was no response in time, or it had another status.
    """
    try:
        with _opener(authority).open(url, timeout=TIMEOUT_SECONDS) as response:
            return str(response.read(1_000_000).decode("utf-8", errors="replace"))
    except urllib.error.HTTPError as error:
        raise RetryableError(f"{url} responds with status {error.code}") from error
    except (OSError, http.client.HTTPException) as error:  # the latter: a truncated or non-HTTP response
        raise RetryableError(f"{url} does not respond: {getattr(error, 'reason', error)}") from error


def _opener(authority: Path | None) -> urllib.request.OpenerDirector:
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
    if authority is not None:
        handlers.append(urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=str(authority))))
    return urllib.request.build_opener(*handlers)


def get_json(url: str) -> dict[str, Any]:
    """Return the JSON object of a 2xx response.

    Raises:
        RetryableError: there was no response in time, or it had another status or no JSON object.
    """
    text = get_text(url)
    try:
        document = json.loads(text)
    except ValueError as error:
        raise RetryableError(f"{url} does not respond with JSON") from error
    if not isinstance(document, dict):
        raise RetryableError(f"{url} does not respond with a JSON object")
    return document
