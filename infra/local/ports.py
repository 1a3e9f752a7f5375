"""Loopback ports: found once, remembered in stack.env, chosen anew when somebody else took one."""

import random
import socket
from collections.abc import Iterable

from lakehouse.errors import PermanentError

LOOPBACK = "127.0.0.1"
# The variable of stack.env that holds the port of each service.
PORTS = {
    "postgres": "OKR_PORT_POSTGRES",
    "kafka": "OKR_PORT_KAFKA",
    "kafka_controller": "OKR_PORT_KAFKA_CONTROLLER",
    "redis": "OKR_PORT_REDIS",
    "airflow": "OKR_PORT_AIRFLOW",
    "mlflow": "OKR_PORT_MLFLOW",
    "api": "OKR_API_PORT",
}
# Below the kernel's ephemeral range (32768-60999): an outgoing connection never sits on a remembered port.
FIRST, LAST = 18_000, 32_000
TRIES = 200


def is_free(port: int) -> bool:
    """Tell whether a server could listen on the loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a closed server's TIME_WAIT does not count
        try:
            probe.bind((LOOPBACK, port))
            # Linux lets two sockets bind with SO_REUSEADDR until one listens.
            probe.listen(1)
        except OSError:
            return False
    return True


def choose(taken: Iterable[int]) -> int:
    """Return a free loopback port that is not in `taken`.

    Raises:
        PermanentError: no free port among `TRIES` drawn ones.
    """
    avoid = set(taken)
    draw = random.SystemRandom()  # two stacks started at the same moment must not draw the same ports
    for _ in range(TRIES):
        port = draw.randint(FIRST, LAST)
        if port not in avoid and is_free(port):
            return port
    raise PermanentError(
        f"No free loopback port among {TRIES} tried between {FIRST} and {LAST}. Close programs that listen there "
        f"(`ss -ltn` lists them), then start again."
    )
