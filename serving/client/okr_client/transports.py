"""Carry out the steps of the shared logic: with blocking calls, or with coroutines."""

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import anyio
import anyio.to_thread
import httpx

from okr_client.calls import Call
from okr_client.errors import error_of
from okr_client.exchange import Sleep, Step, Steps, result
from okr_client.retries import Retries

T = TypeVar("T")


class Transport:
    """Carries out steps with blocking calls."""

    def __init__(self, client: httpx.Client, retries: Retries) -> None:
        self.client = client
        self.retries = retries

    def call(self, call: Call[T]) -> T:
        """Send a request and return the content of its response."""
        return self.run(result(call, self.retries))

    def run(self, steps: Steps[T]) -> T:
        """Carry out steps until they return a result."""
        send, value = steps.send, None
        while True:
            try:
                step = send(value)
            except StopIteration as end:
                done: T = end.value
                return done
            send, value = steps.send, None
            try:
                value = self._do(step)
            except httpx.TransportError as error:
                send, value = steps.throw, error  # type: ignore[assignment]

    @contextmanager
    def stream(self, call: Call[Any]) -> Iterator[Iterator[str]]:
        """Send a request and yield the lines of its response as they arrive."""
        response = self.client.send(call.request(self.client), stream=True)
        try:
            if not response.is_success:
                response.read()
                raise error_of(response)
            yield response.iter_lines()
        finally:
            response.close()

    def _do(self, step: Step) -> httpx.Response | None:
        if isinstance(step, Sleep):
            time.sleep(step.seconds)
            return None
        request = step.call.request(self.client)
        if step.to is None:
            return self.client.send(request)
        return self._download(request, step.to)

    def _download(self, request: httpx.Request, to: Path) -> httpx.Response:
        response = self.client.send(request, stream=True)
        try:
            if not response.is_success:
                response.read()
                return response
            with to.open("wb") as file:
                for chunk in response.iter_bytes():
                    file.write(chunk)
        finally:
            response.close()
        return response


class AsyncTransport:
    """Carries out steps with coroutines."""

    def __init__(self, client: httpx.AsyncClient, retries: Retries) -> None:
        self.client = client
        self.retries = retries

    async def call(self, call: Call[T]) -> T:
        """Send a request and return the content of its response."""
        return await self.run(result(call, self.retries))

    async def run(self, steps: Steps[T]) -> T:
        """Carry out steps until they return a result."""
        send, value = steps.send, None
        while True:
            try:
                step = send(value)
            except StopIteration as end:
                done: T = end.value
                return done
            send, value = steps.send, None
            try:
                value = await self._do(step)
            except httpx.TransportError as error:
                send, value = steps.throw, error  # type: ignore[assignment]

    @asynccontextmanager
    async def stream(self, call: Call[Any]) -> AsyncIterator[AsyncIterator[str]]:
        """Send a request and yield the lines of its response as they arrive."""
        response = await self.client.send(call.request(self.client), stream=True)
        try:
            if not response.is_success:
                await response.aread()
                raise error_of(response)
            yield response.aiter_lines()
        finally:
            await response.aclose()

    async def _do(self, step: Step) -> httpx.Response | None:
        if isinstance(step, Sleep):
            await anyio.sleep(step.seconds)
            return None
        request = step.call.request(self.client)
        if step.to is None:
            return await self.client.send(request)
        return await self._download(request, step.to)

    async def _download(self, request: httpx.Request, to: Path) -> httpx.Response:
        response = await self.client.send(request, stream=True)
        try:
            if not response.is_success:
                await response.aread()
                return response
            with to.open("wb") as file:
                async for chunk in response.aiter_bytes():
                    await anyio.to_thread.run_sync(file.write, chunk)
        finally:
            await response.aclose()
        return response
