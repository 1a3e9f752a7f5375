"""A page of metrics that stands for exporters whose faults cannot be caused here, such as a full disk."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from infra.local.ports import choose

MODEL = 'model="m",role="champion"'
DISK = 'device="/dev/sda1",fstype="ext4"'


def faults() -> str:
    """Return the page at this moment: counters grow and the disk fills."""
    now = time.time()
    disk_left = 350 - now % 100 * 3
    return f"""
node_cpu_seconds_total{{cpu="0",mode="idle"}} {now * 0.05}
node_memory_MemAvailable_bytes 50
node_memory_MemTotal_bytes 1000
node_filesystem_avail_bytes{{{DISK},mountpoint="/full"}} 20
node_filesystem_size_bytes{{{DISK},mountpoint="/full"}} 1000
node_filesystem_readonly{{{DISK},mountpoint="/full"}} 0
node_filesystem_avail_bytes{{{DISK},mountpoint="/filling"}} {disk_left}
node_filesystem_size_bytes{{{DISK},mountpoint="/filling"}} 1000
node_filesystem_readonly{{{DISK},mountpoint="/filling"}} 0
node_time_seconds {now - 3600}
pg_stat_database_numbackends{{datname="okr"}} 95
pg_settings_max_connections{{server="s"}} 100
redis_memory_used_bytes 95
redis_memory_max_bytes 100
okr_kafka_partitions{{state="under-replicated"}} 2
okr_kafka_partitions{{state="offline"}} 1
node_systemd_unit_state{{name="okr-backup.service",state="failed"}} 1
okr_spool_oldest_seconds{{spool="okr-files"}} 4000
okr_feature_drift_psi{{{MODEL},feature="pace"}} 0.6
okr_prediction_drift_psi{{{MODEL}}} 0.6
"""


@contextmanager
def planted_page() -> Iterator[str]:
    """Serve the page on loopback; yield its address."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = faults().encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    port = choose(set())
    server = ThreadingHTTPServer(("127.0.0.1", port), Page)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.shutdown()
        server.server_close()
