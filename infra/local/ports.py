"""Choose free loopback ports. They are stored in stack.env and replaced if another program has taken them."""

import random
import socket
from collections.abc import Iterable

from lakehouse.errors import PermanentError

LOOPBACK = "127.0.0.1"
# For each service, the variable of stack.env that contains its port.
PORTS = {
    "postgres": "OKR_PORT_POSTGRES",
    "kafka": "OKR_PORT_KAFKA",
    "kafka_controller": "OKR_PORT_KAFKA_CONTROLLER",
    "redis": "OKR_PORT_REDIS",
    "airflow": "OKR_PORT_AIRFLOW",
    "mlflow": "OKR_PORT_MLFLOW",
    "api": "OKR_API_PORT",
}
TLS_PORTS = {"nginx": "OKR_PORT_NGINX"}  # only if the stack was started with `--tls`
MONITORING_PORTS = {  # only if it was started with `--monitoring`
    "metrics": "OKR_PORT_METRICS",
    "prometheus": "OKR_PORT_PROMETHEUS",
    "alertmanager": "OKR_PORT_ALERTMANAGER",
    "kafka-jmx": "OKR_PORT_KAFKA_JMX",
    "node-exporter": "OKR_PORT_NODE_EXPORTER",
    "postgres-exporter": "OKR_PORT_POSTGRES_EXPORTER",
    "redis-exporter": "OKR_PORT_REDIS_EXPORTER",
    "blackbox-exporter": "OKR_PORT_BLACKBOX_EXPORTER",
}
# Below the kernel's ephemeral range (32768-60999), so that outgoing connections cannot take a stored port.
FIRST, LAST = 18_000, 32_000
MAX_TRIES = 200


def is_free(port: int) -> bool:
    """Return whether a server could listen on the loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # ignore a closed server's TIME_WAIT
        try:
            probe.bind((LOOPBACK, port))
            # With SO_REUSEADDR, Linux lets two sockets bind the same port as long as neither listens.
            probe.listen(1)
        except OSError:
            return False
    return True


def choose(taken: Iterable[int]) -> int:
    """Return a free loopback port that is not in `taken`.

    Raises:
        PermanentError: none of `MAX_TRIES` random ports is free.
    """
    avoid = set(taken)
    generator = random.SystemRandom()  # so that two stacks that start at the same time choose different ports
    for _ in range(MAX_TRIES):
        port = generator.randint(FIRST, LAST)
        if port not in avoid and is_free(port):
            return port
    raise PermanentError(
        f"None of {MAX_TRIES} loopback ports tried between {FIRST} and {LAST} is free. Close programs that listen "
        f"there (`ss -ltn` lists them), then start again."
    )
