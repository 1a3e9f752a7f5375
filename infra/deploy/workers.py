"""Hand consumers, Airflow and the other processes over to a release.

Landing overlaps: a new process starts before an old one stops. Both may read the same partitions for a moment, but
only one of them can commit a batch, because the lake's offsets fence the other (ADR 1). The other processes are
restarted one after the other. The state consumer's offsets are in the transaction of its rows, and the steps of DAGs
can be repeated (ADR 15), so what a restart interrupts is done again, once.
"""

import time
from collections.abc import Callable, Collection

from infra.deploy import links
from infra.deploy.host import Host
from infra.deploy.units import Units, running_release
from lakehouse.errors import RetryableError

LOOK_EVERY_S = 1.0


def running_workers(host: Host, units: Units) -> list[str]:
    """Return the units, other than the API, that run on this host."""
    return [unit for unit in (*host.landing, *host.workers) if units.pid(unit) is not None]


def workers_before(host: Host, interrupted: Collection[str], running: Collection[str]) -> list[str]:
    """Return the workers of a host from before an interrupted deployment.

    A worker that it stopped is in its record only. Of landing, one more may run than before, so the record counts.
    """
    recorded = any(unit in interrupted for unit in host.landing)
    return sorted({*interrupted, *(unit for unit in running if not (recorded and unit in host.landing))})


def hand_over(host: Host, units: Units, release: str, workers: Collection[str], say: Callable[[str], None]) -> None:
    """Let the workers of this host run a release. Workers that already run it are left alone, so it can be repeated.

    As many landing workers run afterwards as there are in `workers`.

    Raises:
        RetryableError: a worker did not start, or ended within `limits.steady_s` seconds.
    """
    if links.assigned(host, "current") != release:
        links.assign(host, "current", release)
    landing = _hand_over_landing(host, units, release, sum(unit in workers for unit in host.landing), say)
    others = [unit for unit in host.workers if unit in workers]
    for unit in others:
        if running_release(host, units, unit) != release:
            say(f"Restarting {unit} with {release}.")
            units.stop(unit)
            units.start(unit)
    _check_steady(host, units, [*landing, *others])


def _hand_over_landing(host: Host, units: Units, release: str, count: int, say: Callable[[str], None]) -> list[str]:
    """Start landing workers with the release, each before an old one stops; return them."""
    if not count:
        return []
    running = {unit: running_release(host, units, unit) for unit in host.landing}
    new = [unit for unit in host.landing if running[unit] == release]
    old = [unit for unit in host.landing if running[unit] not in (None, release)]
    while len(new) < count:
        unit = next((unit for unit in host.landing if unit not in (*new, *old)), None) or old.pop()
        say(f"Starting {unit} with {release}.")
        units.stop(unit)
        units.start(unit)
        new.append(unit)
        if old:
            units.stop(old.pop(0))
    new, extra = new[:count], new[count:]
    for unit in host.landing:
        # Also one that does not run, because its supervisor may be about to restart it.
        if unit in (*old, *extra) or (unit not in new and units.is_enabled(unit)):
            units.stop(unit)
    return new


def _check_steady(host: Host, units: Units, workers: Collection[str]) -> None:
    """Watch that workers keep running. For Airflow and MLflow, systemd only knows that the program was started."""
    pids = {unit: units.pid(unit) for unit in workers}
    deadline = time.monotonic() + host.limits.steady_s
    while True:
        is_over = time.monotonic() >= deadline
        for unit, pid in pids.items():
            if pid is None or units.pid(unit) != pid:
                raise RetryableError(f"{unit} ended soon after its start. `{units.log(unit)}` shows why.")
        if is_over:
            return
        time.sleep(min(LOOK_EVERY_S, host.limits.steady_s))
