"""Run the workers of `okr serve` on one socket, and the task that runs once per host: sending predictions to Kafka.

uvicorn's supervisor starts the workers, restarts those that die or hang, passes SIGTERM on, waits until they have
drained, and replaces them one by one after SIGHUP. This module adds two things. Predictions are sent to Kafka from the
supervisor's process, so that sending does not compete with requests for the GIL. The exit status is 0 only if the
process was asked to stop.
"""

import socket

import uvicorn
from uvicorn.config import LOGGING_CONFIG
from uvicorn.supervisors import Multiprocess

from lakehouse.errors import RetryableError
from lakehouse.logs import library_logging
from lakehouse.readiness import report_alive, report_ready
from lakehouse.settings import Settings
from serving.fast_path.fast_protocol import FastProtocol
from serving.prediction_log.shipper import Shipper

LOOPBACK = "127.0.0.1"  # other hosts reach the API through a proxy
ALIVE_S = 10
WORKER_ANSWERS_S = 30  # a worker that does not answer the supervisor for this long is replaced


def run(settings: Settings, workers: int, listener: socket.socket | None = None, *, host: str = LOOPBACK) -> None:
    """Serve until SIGTERM or SIGINT, on a socket that listens, or on an address of this host and the settings' port.

    Raises:
        PermanentError: a setting is missing.
        RetryableError: a worker could not start; the log says why.
    """
    config = uvicorn.Config(
        "serving.processes.worker:create",
        factory=True,
        host=host,
        port=0 if listener else int(settings.require("api_port")),
        workers=workers,
        http=FastProtocol,
        ws="none",  # there are no web sockets, and they would bypass the guard
        loop="uvloop",
        access_log=False,  # request_guard logs the route of each request instead of its path
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=settings.api_drain_s,
        timeout_worker_healthcheck=WORKER_ANSWERS_S,
        log_level="warning",
        log_config=library_logging() if settings.log_json else LOGGING_CONFIG,
    )
    shipper = Shipper.from_settings(settings)
    supervisor = Supervisor(config, [listener or config.bind_socket()])
    shipper.start()
    try:
        supervisor.run()
    finally:
        shipper.stop()
    if not supervisor.was_asked_to_stop:
        raise RetryableError("A worker of the API could not start; its log says why.")


class Supervisor(Multiprocess):
    """uvicorn's supervisor, which reports when all workers accept requests, and remembers if it was asked to stop."""

    was_asked_to_stop = False
    has_reported = False

    def keep_subprocess_alive(self) -> None:
        """Replace workers that died or hang. uvicorn calls this every 0.5 s."""
        for each in self.processes:
            each.child_conn.close()  # with this copy open, waiting for the answer of a dead worker would not end
        super().keep_subprocess_alive()
        if self.should_exit.is_set():
            return
        if not self.has_reported and all(each.is_ready(WORKER_ANSWERS_S) for each in self.processes):
            report_ready()
            self.has_reported = True
        report_alive()

    def terminate_all(self) -> None:
        """Stop the workers. This process closes its copy of the socket first, so that no client connects in vain."""
        for each in self.sockets:
            each.close()
        super().terminate_all()

    def join_all(self) -> None:
        """Wait until the workers have completed their requests, which may take longer than the watchdog allows."""
        for each in self.processes:
            while each.process.is_alive():
                report_alive()
                each.process.join(ALIVE_S)

    def handle_int(self) -> None:
        """Stop after SIGINT."""
        self.was_asked_to_stop = True
        super().handle_int()

    def handle_term(self) -> None:
        """Stop after SIGTERM."""
        self.was_asked_to_stop = True
        super().handle_term()
