"""Drain keep-alive connections when a worker stops, so that no request is lost.

uvicorn closes idle connections immediately. A request that is already on its way on such a connection would be lost,
and a client that reuses connections cannot tell whether it was processed. Here, an idle connection stays open for
GRACE_S seconds, and the response to its next request says `Connection: close`.
"""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

GRACE_S = 1.0


class DrainingProtocol(HttpToolsProtocol):
    """One connection of uvicorn, which drains."""

    is_draining = False

    def shutdown(self) -> None:
        """Close the connection after the current or the next response, or after GRACE_S seconds without a request."""
        self.is_draining = True
        if self.cycle is None or self.cycle.response_started:  # too late to announce the end of the connection
            self.loop.call_later(GRACE_S, self._close_if_idle)
        else:
            self.cycle.keep_alive = False

    def on_headers_complete(self) -> None:
        """Start a request."""
        super().on_headers_complete()
        if self.is_draining and self.cycle is not None:
            self.cycle.keep_alive = False

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        if self.is_draining:
            self.loop.call_later(GRACE_S, self._close_if_idle)

    def _close_if_idle(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()
