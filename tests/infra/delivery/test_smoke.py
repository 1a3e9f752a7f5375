import json
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[3] / ".ci" / "smoke"
GOOD = {
    "/livez": (200, "{}"), "/readyz": (200, "{}"), "/.well-known/jwks.json": (200, '{"keys": [1]}'),
    "/login": (200, "<form>"), "/v1/publication": (401, "{}"),
}  # fmt: skip


@pytest.fixture
def answers() -> Iterator[dict[str, object]]:
    """What a small server answers, and under `url` its address."""
    found: dict[str, object] = dict(GOOD)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, text = found.get(self.path, (404, ""))
            if self.headers["Authorization"] == "Bearer okr_key" and self.path in {"/models", "/v1/publication"}:
                status, text = 200, json.dumps({"active": {"version": "7"}})
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found["url"] = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield found
        server.shutdown()
        thread.join()


def smoke(answers: dict[str, object], **variables: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [PROGRAM, str(answers["url"])],
        env={"PATH": "/usr/bin:/bin", "SMOKE_WAIT_S": "0"} | variables,
        capture_output=True,
        text=True,
        check=False,
    )


def test_expected_answers_pass(answers):
    assert "5 calls were answered as expected." in smoke(answers).stdout
    assert "7 calls were answered as expected." in smoke(answers, SMOKE_API_KEY="okr_key").stdout


@pytest.mark.parametrize(
    ("path", "answer", "message"),
    [
        ("/readyz", (503, "not ready"), "/readyz: expected 200, got 503: not ready"),
        ("/.well-known/jwks.json", (200, '{"keys": []}'), "/.well-known/jwks.json: expected 200, got 200"),
        ("/login", (200, "<html>nothing"), "/login: expected 200, got 200"),
        ("/v1/publication", (200, "open"), "/v1/publication: expected 401, got 200"),
    ],
)
def test_another_answer_fails(answers, path, answer, message):
    answers[path] = answer
    done = smoke(answers)
    assert done.returncode == 1
    assert message in done.stdout


def test_a_key_that_is_not_accepted_fails_and_is_not_shown(answers):
    done = smoke(answers, SMOKE_API_KEY="okr_wrong")
    assert done.returncode == 1
    assert "/models: expected 200, got 404" in done.stdout
    assert "okr_wrong" not in done.stdout + done.stderr
