"""Send one GET request on loopback, bypassing any proxy."""

import http.client
import json
import urllib.error
import urllib.request
from typing import Any

from lakehouse.errors import RetryableError

TIMEOUT_SECONDS = 5
_opener_without_proxy = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def get_text(url: str) -> str:
    """Return the body of a 2xx response.

    Raises:
        RetryableError: there was no response in time, or it had another status.
    """
    try:
        with _opener_without_proxy.open(url, timeout=TIMEOUT_SECONDS) as response:
            return str(response.read(1_000_000).decode("utf-8", errors="replace"))
    except urllib.error.HTTPError as error:
        raise RetryableError(f"{url} responds with status {error.code}") from error
    except (OSError, http.client.HTTPException) as error:  # the latter: a truncated or non-HTTP response
        raise RetryableError(f"{url} does not respond: {getattr(error, 'reason', error)}") from error


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
