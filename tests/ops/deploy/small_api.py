"""A small API for tests of the deployment's steps, with the requests that `okr deploy` sends. See releases.py.

It is a real process on a UNIX socket that drains on SIGTERM. `behaviour.json` says what it does wrong.
"""

import asyncio
import json
import os
import sys
import time
from pathlib import Path

READY_FILE = "OKR_READY_FILE"


def main() -> None:
    behaviour = json.loads(Path(sys.argv[1]).read_text())
    command = sys.argv[2:]
    if command[0] == "serve":
        serve(behaviour, command[2])
    elif command[0] == "migrate":
        time.sleep(behaviour.get("migrate_s", 0))
        print("The warehouse is at revision 0049.")
        sys.exit(behaviour.get("migrate_status", 0))
    else:  # a worker
        if behaviour.get("worker_status"):
            sys.exit(behaviour["worker_status"])
        Path(os.environ[READY_FILE]).write_text(str(os.getpid()))
        time.sleep(behaviour.get("worker_ends_after_s", 3600))


def serve(behaviour: dict[str, object], socket: str) -> None:
    if behaviour.get("start_status"):
        sys.exit("planted: this release does not start")
    import uvicorn

    app = App(behaviour)
    uvicorn.run(app, uds=socket, log_level="warning", access_log=False, lifespan="off")


class App:
    """The ASGI application."""

    def __init__(self, behaviour: dict[str, object]) -> None:
        self.behaviour = behaviour
        self.seconds: list[float] = []
        self.failed = 0

    async def __call__(self, scope, receive, send):  # type: ignore[no-untyped-def]
        while (await receive()).get("more_body"):
            pass
        started, path, status = time.monotonic(), scope["path"], 200
        body: object = {"status": "ready"}
        if path == "/predict":
            await asyncio.sleep(float(self.behaviour.get("delay_s", 0)))  # type: ignore[arg-type]
            prediction = {"probability": self.behaviour.get("probability", 0.5), "low": 0.1, "high": 0.9}
            body = {"predictions": [prediction] * self.behaviour.get("predictions", 1)}  # type: ignore[operator]
            if time.time() > float(self.behaviour.get("fails_after", "inf")):  # type: ignore[arg-type]
                status = 500
            self.seconds.append(time.monotonic() - started)
            self.failed += status == 500
        elif path == "/models":
            body = {"active": {"version": "1"}}
        elif path == "/auth/token":
            body = {"access_token": "token"}
        elif path == "/version":
            body = self.behaviour["version"]
        elif path == "/secret":
            body = os.environ["OKR_JWT_SECRET"]
        await self._answer(send, status, self._metrics() if path == "/metrics" else json.dumps(body))

    async def _answer(self, send, status, text):  # type: ignore[no-untyped-def]
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": text.encode()})

    def _metrics(self) -> str:
        name, good = "okr_http_request_duration_seconds", len(self.seconds) - self.failed
        lines = [f"# TYPE {name} histogram"]
        for status, count in (("200", good), ("500", self.failed)):
            labels = f'method="POST",route="/predict",status="{status}"'
            for bound in (0.1, 0.5, 1.0):
                within = sum(each <= bound for each in self.seconds) if status == "200" else count
                lines.append(f'{name}_bucket{{{labels},le="{bound}"}} {within}')
            lines += [f'{name}_bucket{{{labels},le="+Inf"}} {count}', f"{name}_count{{{labels}}} {count}"]
        return "\n".join([*lines, ""])


main()
