"""A typed client of the okr-lakehouse API: `Okr` is synchronous, `AsyncOkr` asynchronous."""

from okr_client.client import AsyncOkr, Okr
from okr_client.errors import ApiError, ConnectionFailed, OkrClientError
from okr_client.retries import Retries

__all__ = ["ApiError", "AsyncOkr", "ConnectionFailed", "Okr", "OkrClientError", "Retries"]
