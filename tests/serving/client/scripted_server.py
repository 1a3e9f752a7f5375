"""A server that gives scripted responses, to fail in ways in which the API rarely fails."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

DROP = 0  # the status of a response that closes the connection instead


@dataclass(frozen=True)
class Scripted:
    """A response: JSON, or bytes of which only a part may arrive."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    missing_bytes: int = 0


@dataclass
class Scripts:
    """The responses by path, in their order (the last one is repeated), and the requests that were received."""

    responses: dict[str, list[Scripted]]
    url: str = ""
    requests: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)

    def headers(self, name: str) -> list[str | None]:
        """Return a header of all requests."""
        return [headers.get(name) for _, _, headers, _ in self.requests]

    def next(self, path: str) -> Scripted:
        """Return the next response of a path."""
        waiting = self.responses[path]
        return waiting.pop(0) if len(waiting) > 1 else waiting[0]


def problem(status: int, code: str, **headers: str) -> Scripted:
    """Return a problem document."""
    body = {"type": f"urn:okr:problem:{code}", "title": code, "status": status, "detail": "Do it.", "request_id": "r1"}
    return Scripted(status, body, {"Content-Type": "application/problem+json", **headers})


@contextmanager
def scripted(**paths: Scripted | list[Scripted]) -> Iterator[Scripts]:
    """Serve responses until the block ends. The names are paths with `__` instead of `/`."""
    responses = {
        name.replace("__", "/"): [each] if isinstance(each, Scripted) else list(each) for name, each in paths.items()
    }
    scripts = Scripts(responses)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            path = self.path.partition("?")[0]
            scripts.requests.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            answer = scripts.next(path)
            if answer.status == DROP:
                self.close_connection = True
                return
            content = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
            self.send_response(answer.status)
            for name, value in {"Content-Type": "application/json", **answer.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content) + answer.missing_bytes))
            self.end_headers()
            self.wfile.write(content)
            self.close_connection = self.close_connection or answer.missing_bytes > 0

        do_GET = do_POST = do_PUT = do_DELETE = handle_any  # noqa: N815 -- http.server looks for these names

        def log_message(self, *_: Any) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    scripts.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield scripts
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()
