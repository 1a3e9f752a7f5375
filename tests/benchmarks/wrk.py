"""Run wrk on the second core against a server that is pinned to the first."""

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import psutil

SERVER_CORE, CLIENT_CORE, BOTH_CORES = "0", "1", "0,1"
UNITS_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


@dataclass(frozen=True)
class Load:
    """The result of one run: answers a second, CPU microseconds of the server per answer, and latencies."""

    rate: float
    cpu_us: float
    p50_ms: float
    p99_ms: float
    errors: int


def pinned(command: list[str], core: str = SERVER_CORE) -> list[str]:
    """Return a command that runs on one core, as do its children."""
    return ["taskset", "-c", core, *command]


def run_wrk(
    url: str,
    script: Path,
    server: psutil.Process,
    *,
    connections: int = 64,
    seconds: int = 5,
    cores: str = CLIENT_CORE,
) -> Load:
    """Send requests as fast as the connections allow, or as the script's `delay` says."""
    before = cpu_seconds(server)
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(script), url]
    done = subprocess.run(pinned(command, cores), capture_output=True, text=True, check=True)
    spent = cpu_seconds(server) - before
    requests = int(found(r"(\d+) requests in", done.stdout))
    bad = sum(
        int(each) for each in re.findall(r"(?:Non-2xx or 3xx responses:|connect|read|write|timeout) (\d+)", done.stdout)
    )
    return Load(
        rate=float(found(r"Requests/sec:\s+([\d.]+)", done.stdout)),
        cpu_us=spent / requests * 1e6,
        p50_ms=milliseconds(found(r"\n +50%\s+(\S+)", done.stdout)),
        p99_ms=milliseconds(found(r"\n +99%\s+(\S+)", done.stdout)),
        errors=bad,
    )


def cpu_seconds(server: psutil.Process) -> float:
    """Return the CPU seconds of a process and all its children."""
    return sum(sum(each.cpu_times()[:2]) for each in (server, *server.children(recursive=True)))


def found(pattern: str, text: str) -> str:
    """Return the first group of a pattern in wrk's output."""
    match = re.search(pattern, text)
    assert match is not None, text
    return match.group(1)


def milliseconds(text: str) -> float:
    """Return a duration of wrk's output, such as 812.00us."""
    match = re.fullmatch(r"([\d.]+)(us|ms|s)", text)
    assert match is not None, text
    return float(match.group(1)) * UNITS_MS[match.group(2)]


def get_script(file: Path, paths: list[str], headers: dict[str, str]) -> Path:
    """Write a script that gets the paths in turn."""
    lines = [
        *(f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}" for name, value in headers.items()),
        f"local paths = {{{', '.join(map(json.dumps, paths))}}}",
        "local requests, at = {}, 0",
        'init = function() for i, path in ipairs(paths) do requests[i] = wrk.format("GET", path) end end',
        "request = function() at = at % #requests + 1; return requests[at] end",
    ]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def post_script(file: Path, bodies: list[bytes], headers: dict[str, str], delay_ms: float = 0.0) -> Path:
    """Write a script that posts the bodies in turn, with a pause of 0 to 2 * `delay_ms` before each request."""
    lines = [
        'wrk.method = "POST"',
        *(f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}" for name, value in headers.items()),
        f"local bodies = {{{', '.join(json.dumps(body.decode()) for body in bodies)}}}",
        "local requests, at = {}, 0",
        "init = function() for i, body in ipairs(bodies) do requests[i] = wrk.format(nil, nil, nil, body) end end",
        "request = function() at = at % #requests + 1; return requests[at] end",
    ]
    if delay_ms:
        lines.append(f"delay = function() return math.random(0, {round(2 * delay_ms)}) end")
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file
