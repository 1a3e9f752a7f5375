"""Hand consumers, Airflow and the other processes over to a release.

Landing overlaps: the new process starts before the old one stops. Both may read the same partitions for a moment, but
only one of them can commit a batch, because the lake's offsets fence the other (ADR 1). The other processes are
restarted one after the other. The state consumer's offsets are in the transaction of its rows, and the steps of DAGs
can be repeated (ADR 15), so what a restart interrupts is done again, once.
"""

from collections.abc import Callable, Collection

from infra.deploy import links
from infra.deploy.host import Host
from infra.deploy.units import Units, running_release


def running_workers(host: Host, units: Units) -> list[str]:
    """Return the units, other than the API, that run on this host."""
    return [unit for unit in (*host.landing, *host.workers) if units.pid(unit) is not None]


def hand_over(host: Host, units: Units, release: str, workers: Collection[str], say: Callable[[str], None]) -> None:
    """Let the workers of this host run a release. Workers that already run it are left alone, so it can be repeated.

    Raises:
        RetryableError: a worker did not start.
    """
    if links.assigned(host, "current") != release:
        links.assign(host, "current", release)
    if any(unit in workers for unit in host.landing):
        _hand_over_landing(host, units, release, say)
    for unit in host.workers:
        if unit in workers and running_release(host, units, unit) != release:
            say(f"Restarting {unit} with {release}.")
            units.stop(unit)
            units.start(unit)


def _hand_over_landing(host: Host, units: Units, release: str, say: Callable[[str], None]) -> None:
    running = {unit: running_release(host, units, unit) for unit in host.landing}
    new = next((unit for unit in host.landing if running[unit] == release), None)
    if new is None:
        new = next((unit for unit in host.landing if running[unit] is None), host.landing[0])
        say(f"Starting {new} with {release}.")
        units.stop(new)
        units.start(new)
    for unit in host.landing:
        if unit != new:
            units.stop(unit)  # also if it does not run, because a supervisor may be about to restart it
