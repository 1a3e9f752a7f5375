"""Check what serves on this host now: `okr deploy check`, which the delivery pipeline runs after a deployment."""

from collections.abc import Iterator

from infra.deploy import links
from infra.deploy.api_client import ColourClient
from infra.deploy.golden import check_golden_rows
from infra.deploy.host import Host
from infra.deploy.journal import Journal
from infra.deploy.units import Units, running_release
from lakehouse.errors import PermanentError
from lakehouse.settings import Settings


def check_host(host: Host, units: Units, settings: Settings, release: str | None) -> Iterator[str]:
    """Yield a line for each check that has passed. Nothing is changed.

    Raises:
        PermanentError: another release serves, a worker runs another release, the last deployment is incomplete, or a
            prediction is wrong.
        RetryableError: the API does not respond, or not as described.
    """
    colour = links.serving_colour(host)
    if colour is None:
        raise PermanentError(f"No API serves on this host: {host.current_socket} names no colour.")
    serving = running_release(host, units, host.api_unit(colour))
    if serving is None or (release is not None and serving != release):
        raise PermanentError(f"Expected {release or 'a release'} to serve, but {host.api_unit(colour)} runs {serving}.")
    yield f"{serving} serves ({colour})."
    last = Journal(host.state).last()
    if last is not None and last.is_interrupted:
        raise PermanentError(f"The {last.kind} of {last.release} was interrupted in the step {last.step}.")
    others = {unit: running_release(host, units, unit) for unit in (*host.landing, *host.workers)}
    if wrong := {unit: found for unit, found in others.items() if found not in {None, serving}}:
        raise PermanentError(f"Expected {serving} in all workers, found {wrong}.")
    yield f"{sum(found is not None for found in others.values())} workers run {serving}."
    # Through the link that nginx uses, as a request of a user.
    with ColourClient(host.current_socket) as client:
        if not client.is_ready():
            raise PermanentError(f"{host.current_socket} does not answer /readyz with 200.")
        yield "The API is ready."
        client.log_in(host.account, settings.require("app_password"))
        try:
            yield f"{check_golden_rows(host, client, None)} golden rows were compared."
        finally:
            client.log_out()
