"""nginx in front of the serving colour, and wrk, which counts every request that it loses."""

import json
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from infra.local.ports import choose
from tests.polling import until

# Without `keepalive` in the upstream, each request connects through the link, so a switch needs no reload.
CONFIGURATION = """
daemon off;
user root;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream api {{ server unix:{socket}; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{ proxy_pass http://api; proxy_set_header Host localhost; }}
    }}
}}
"""


@contextmanager
def nginx(folder: Path, socket: Path) -> Iterator[str]:
    """Run nginx in front of a socket; yield its URL."""
    folder.mkdir()
    port = choose(set())
    file = folder / "nginx.conf"
    file.write_text(CONFIGURATION.format(folder=folder, socket=socket, port=port), encoding="utf-8")
    process = subprocess.Popen(["nginx", "-p", str(folder), "-c", str(file)], stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            return httpx.get(f"{url}/livez").status_code == 200
        except httpx.HTTPError:
            return False

    try:
        until(answers, "nginx answers", seconds=20)
        yield url
    finally:
        process.terminate()
        process.wait(10)


@dataclass
class Load:
    """What wrk has seen."""

    requests: int = 0
    failed: int = 0
    text: str = ""


@contextmanager
def wrk(url: str, folder: Path, token: str, row: Mapping[str, object]) -> Iterator[Load]:
    """Send predictions of a row on keep-alive connections while the block runs."""
    script = folder / "predict.lua"
    script.write_text(
        f"""
wrk.method = "POST"
wrk.headers["Authorization"] = "Bearer {token}"
wrk.headers["Content-Type"] = "application/json"
wrk.body = {json.dumps(json.dumps({"features": row}))}
delay = function() return math.random(10, 60) end
""",
        encoding="utf-8",
    )
    load = Load()
    process = subprocess.Popen(
        ["wrk", "-t1", "-c4", "-d300s", "--timeout", "20s", "-s", str(script), f"{url}/predict"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        yield load
    finally:
        process.send_signal(signal.SIGINT)
        load.text, _ = process.communicate(timeout=30)
    found = re.search(r"(\d+) requests in", load.text)
    assert found is not None, load.text
    load.requests = int(found[1])
    faults = r"(?:Non-2xx or 3xx responses:|connect|read|write|timeout) (\d+)"
    load.failed = sum(int(each) for each in re.findall(faults, load.text))
