"""Read the body of a request before the application runs, so that routes need not wait for slow clients."""

from starlette.types import Message, Receive


class RequestBody:
    """The body of a request. After it has been read, this object is the `receive` of the application."""

    __slots__ = ("_parts", "_receive", "is_abandoned", "is_complete", "newest_size", "size")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._parts: list[bytes] | None = []
        self.size = self.newest_size = 0
        self.is_complete = self.is_abandoned = False

    async def read_part(self) -> bool:
        """Read the next part. Return false if there was none, because the body is complete or the client has left."""
        if self.is_complete:
            return False
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self.is_abandoned = True
            return False
        part = message.get("body", b"")
        self.newest_size = len(part)
        self.size += self.newest_size
        if self._parts is not None:
            self._parts.append(part)
        self.is_complete = not message.get("more_body", False)
        return True

    async def __call__(self) -> Message:
        """Return the whole body in one message, then what the server sends."""
        parts, self._parts = self._parts, None
        if parts is None:
            return await self._receive()
        return {"type": "http.request", "body": parts[0] if len(parts) == 1 else b"".join(parts), "more_body": False}
