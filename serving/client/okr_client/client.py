"""The clients: `Okr` with blocking calls, `AsyncOkr` with coroutines."""

from importlib.metadata import PackageNotFoundError, version
from types import TracebackType
from typing import Any

import httpx

from okr_client import waiting
from okr_client.credentials import credential
from okr_client.models import EventStatus
from okr_client.operations import groups
from okr_client.operations.predictor import AsyncPredictor, Predictor
from okr_client.retries import Retries
from okr_client.transports import AsyncTransport, Transport
from okr_client.waiting import Awaited, Written

TIMEOUT = httpx.Timeout(35.0, connect=5.0)  # the API answers or gives up within 30 s
WAIT_S = 180.0


class Okr(Predictor):
    """The API of an installation. Use it as a context manager, or call `close()`. Threads may share it.

    `predict`, `models` and `load` are methods; the other operations are in `data`, `writes`, `auth`, `admin` and
    `health`.
    """

    def __init__(  # noqa: PLR0913 -- the options of a client
        self, base_url: str, *, api_key: str | None = None, access_token: str | None = None,
        username: str | None = None, password: str | None = None, retries: Retries = Retries(),
        timeout: httpx.Timeout | float = TIMEOUT, transport: httpx.BaseTransport | None = None,
    ) -> None:  # fmt: skip
        """Create a client. Nothing is sent before the first call.

        `transport` replaces httpx's default one, for example to use a proxy.
        """
        auth = credential(
            httpx.URL(base_url), api_key=api_key, access_token=access_token, username=username, password=password
        )
        client = httpx.Client(base_url=base_url, auth=auth, timeout=timeout, headers=_headers(), transport=transport)
        super().__init__(Transport(client, retries))
        self.data = groups.Data(self._transport)
        self.writes = groups.Writes(self._transport)
        self.auth = groups.Auth(self._transport)
        self.health = groups.Health(self._transport)
        self.admin = groups.Admin(self._transport)

    def wait(self, written: Written | str, until: Awaited = "published", timeout_s: float = WAIT_S) -> EventStatus:
        """Wait until an event is published (or loaded, or landed) and return its status.

        Raises:
            EventNotPublished: it is quarantined or rejected.
            NotPublishedInTime: it takes longer than `timeout_s`.
        """
        return self._transport.run(waiting.wait(written, self._transport.retries, until, timeout_s))

    def close(self) -> None:
        """Close all connections."""
        self._transport.client.close()

    def __enter__(self) -> "Okr":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class AsyncOkr(AsyncPredictor):
    """The API of an installation. Use it as an asynchronous context manager, or call `aclose()`."""

    def __init__(  # noqa: PLR0913 -- the options of a client
        self, base_url: str, *, api_key: str | None = None, access_token: str | None = None,
        username: str | None = None, password: str | None = None, retries: Retries = Retries(),
        timeout: httpx.Timeout | float = TIMEOUT, transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:  # fmt: skip
        """Create a client. Nothing is sent before the first call.

        `transport` replaces httpx's default one, for example to use a proxy.
        """
        auth = credential(
            httpx.URL(base_url), api_key=api_key, access_token=access_token, username=username, password=password
        )
        client = httpx.AsyncClient(
            base_url=base_url, auth=auth, timeout=timeout, headers=_headers(), transport=transport
        )
        super().__init__(AsyncTransport(client, retries))
        self.data = groups.AsyncData(self._transport)
        self.writes = groups.AsyncWrites(self._transport)
        self.auth = groups.AsyncAuth(self._transport)
        self.health = groups.AsyncHealth(self._transport)
        self.admin = groups.AsyncAdmin(self._transport)

    async def wait(
        self, written: Written | str, until: Awaited = "published", timeout_s: float = WAIT_S
    ) -> EventStatus:
        """Wait until an event is published (or loaded, or landed) and return its status.

        Raises:
            EventNotPublished: it is quarantined or rejected.
            NotPublishedInTime: it takes longer than `timeout_s`.
        """
        return await self._transport.run(waiting.wait(written, self._transport.retries, until, timeout_s))

    async def aclose(self) -> None:
        """Close all connections."""
        await self._transport.client.aclose()

    async def __aenter__(self) -> "AsyncOkr":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()


def _headers() -> dict[str, Any]:
    try:
        return {"User-Agent": f"okr-client/{version('okr-client')}"}
    except PackageNotFoundError:
        return {"User-Agent": "okr-client"}
